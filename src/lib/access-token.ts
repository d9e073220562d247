/** What a bearer token allows. The token itself is never kept: only its digest is known here. */

export const accessRights = ["read", "write", "operate"] as const;

/** `read`: look; `write`: register, renew, patch, deregister; `operate`: members, leadership, overrides, settings. None holds another. */
export type AccessRight = (typeof accessRights)[number];

export interface AccessToken {
  /** Who has it, for the history and the log. Unique. */
  readonly name: string;
  /** SHA-256 of the token, 32 bytes. */
  readonly sha256: Uint8Array;
  readonly rights: readonly AccessRight[];
  /** The only namespace that it reaches; null for all. */
  readonly namespace: string | null;
  /** What the services that it reaches begin with; null for all. */
  readonly servicePrefix: string | null;
}
