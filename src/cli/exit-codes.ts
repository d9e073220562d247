/** Exit statuses of `rollcall`, so that scripts can tell "try again" from "wrong" and from "may have happened". */

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  /** A conflict, or a precondition that does not hold. */
  conflict: 4,
  /** No leader, overloaded, nobody answers: not applied, and a retry may help. */
  unavailable: 5,
  /** The write may yet take effect. */
  unknown: 6,
  unauthorized: 7,
  invalid: 8,
} as const;

export const exitCodesInWords = `Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict or precondition,
5 unavailable (not applied; a retry may help), 6 outcome unknown (the write may yet take effect),
7 not allowed, 8 invalid value, 130 interrupted.`;

/** A command ends here: one sentence for people, and the status. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}

const byStatus: Readonly<Record<number, number>> = {
  400: exitCodes.invalid,
  401: exitCodes.unauthorized,
  403: exitCodes.unauthorized,
  404: exitCodes.notFound,
  409: exitCodes.conflict,
  412: exitCodes.conflict,
  413: exitCodes.invalid,
  429: exitCodes.unavailable,
  503: exitCodes.unavailable,
};

/** The status for an HTTP answer that is no success. `outcome` as in API.md's problems. */
export function exitCodeOf(status: number, outcome: string | null): number {
  return outcome === "unknown" ? exitCodes.unknown : (byStatus[status] ?? exitCodes.failed);
}
