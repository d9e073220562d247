/** Brings a write to the member and turns its result into an answer, or its failure into a problem. */

import { RollcallError } from "../lib/errors.ts";
import type { Command, CommandResult, Failure } from "../registry/commands.ts";
import type { WriteOptions } from "../replica/member.ts";
import { json, type Answer } from "./answer.ts";
import type { Api } from "./api.ts";
import type { Exchange } from "./exchange.ts";
import { successJson, type Rendering } from "./render.ts";

interface Submission {
  readonly api: Api;
  readonly exchange: Exchange;
  readonly options: WriteOptions;
}

type SuccessOf<Kind> = Extract<CommandResult, { readonly ok: true; readonly kind: Kind }>;

/** The result of a command, which is of the command's own kind. Throws a RollcallError when the command failed. */
export async function submitFor<Kind extends Command["kind"]>(
  { api, options }: Submission,
  command: Extract<Command, { readonly kind: Kind }>,
): Promise<SuccessOf<Kind>> {
  const result = await api.member.submit(command, options);
  if (!result.ok) throw toError(result);
  if (result.kind !== command.kind) throw new Error(`a ${command.kind} got the result of a ${result.kind}`);
  return result as SuccessOf<Kind>;
}

/** The same, with the answer to send. */
export async function submit<Kind extends Command["kind"]>(
  submission: Submission,
  command: Extract<Command, { readonly kind: Kind }>,
): Promise<SuccessOf<Kind> & { readonly answer: Answer }> {
  const result = await submitFor(submission, command);
  const { status, body } = successJson(result, renderingOf(submission));
  return { ...result, answer: json(status, body) };
}

export function renderingOf({ api, exchange }: Pick<Submission, "api" | "exchange">): Rendering {
  return { member: api.member, pace: api, elapsedMs: performance.now() - exchange.startedAtMs };
}

function toError(failure: Failure): RollcallError {
  return new RollcallError(failure.code, failure.detail, {
    ...(failure.revision !== null && { currentRevision: failure.revision }),
  });
}
