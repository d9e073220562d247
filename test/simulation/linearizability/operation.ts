/** One call to one key: what was asked, what was answered, and when. */

export type Input =
  /** Sets the value, whatever was there. */
  | { readonly kind: "set"; readonly value: string }
  /** Changes the value if there is one. */
  | { readonly kind: "change"; readonly value: string }
  | { readonly kind: "remove" }
  | { readonly kind: "read" };

/** Null: nobody knows. `absent`: there was nothing to change or remove. */
export type Output = "done" | "absent" | { readonly value: string | null } | null;

export interface Operation {
  readonly client: string;
  readonly beganMs: number;
  /** Infinity for an operation that may take effect at any later time, or never. */
  readonly endedMs: number;
  readonly input: Input;
  readonly output: Output;
}
