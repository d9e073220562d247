/** Where broken promises are reported. The first one ends the run; what comes after it may only be its consequence. */

export interface Violation {
  /** Which checker noticed. */
  readonly checker: string;
  readonly message: string;
}

export type Violate = (checker: string, message: string) => void;
