/** Renewals: the hot path of every client. They go to the member's renewals, which commits many as one entry. */

import type { Renewal, RenewalResult } from "../../replica/member.ts";
import { RollcallError, type ErrorCode } from "../../lib/errors.ts";
import * as answers from "../answer-schemas.ts";
import { json } from "../answer.ts";
import { bodyLimits } from "../body.ts";
import { body, keyOf, optionalBody, write, type MemberEndpoint } from "../endpoint.ts";
import { leftAfterRenewalMs, renewAfterMs, renewedJson } from "../render.ts";
import { name } from "../schema-parts.ts";
import { renewal, renewals } from "../schemas.ts";
import { renderingOf } from "../submit.ts";
import { registryLimits } from "../../registry/model.ts";
import { policies } from "../policy.ts";

export const renewOne: MemberEndpoint = write({
  id: "renewInstance",
  policy: policies.keepInstance,
  method: "POST",
  path: "/v1/services/{service}/instances/{id}/renew",
  summary: "Renew the lease of an instance, optionally with a new status.",
  params: { service: name, id: name },
  query: {},
  keepsResult: false,
  body: optionalBody(renewal),
  answers: [{ status: 200, description: "Renewed.", schema: answers.renewed }],
  errors: ["not_registered", "superseded"],
  handle: async (call) => {
    const { incarnation = null, status = null } = call.body;
    const asked: Renewal = { key: keyOf(call), incarnation, status };
    const [result] = await call.api.member.renew([asked], call.options.timeoutMs);
    if (result === undefined) throw new Error("a renewal got no result");
    if (!result.ok) throw toError(result);
    return json(200, renewedJson(result, renderingOf(call)));
  },
});

export const renewMany: MemberEndpoint = write({
  id: "renewInstances",
  policy: policies.keepInstances,
  method: "POST",
  path: "/v1/renewals",
  summary: "Renew many leases, with one result each, in order.",
  params: {},
  query: {},
  keepsResult: false,
  body: body(renewals, { bytesMax: bodyLimits.bulkBytesMax }),
  answers: [{ status: 200, description: "Each renewal's result.", schema: answers.renewalResults }],
  errors: [],
  handle: async (call) => {
    call.grant.mustReach(call.body.renewals);
    const asked = call.body.renewals.map(({ namespace, service, id, incarnation = null }): Renewal => ({
      key: { namespace, service, id },
      incarnation,
      status: null,
    }));
    const results = await call.api.member.renew(asked, call.options.timeoutMs);
    const failure = commonFailure(results);
    if (failure !== null) throw toError(failure);
    const { pace, elapsedMs } = renderingOf(call);
    return json(200, {
      results: results.map((result) => resultJson(result, elapsedMs)),
      renewAfterMs: renewAfterMs(shortestTtlMs(results), pace),
    });
  },
});

type FailedRenewal = Extract<RenewalResult, { readonly ok: false }>;

/** What says something about this member or the cluster, not about one renewal. */
const memberFailures: readonly ErrorCode[] = [
  "no_leader",
  "unavailable",
  "overloaded",
  "commit_timeout",
  "internal",
];

/** When all renewals failed because the member could not do its work, the request failed, and the client should go elsewhere. */
function commonFailure(results: readonly RenewalResult[]): FailedRenewal | null {
  const [first] = results;
  if (first === undefined || first.ok || !memberFailures.includes(first.code)) return null;
  return results.every((result) => !result.ok && result.code === first.code) ? first : null;
}

function toError({ code, detail, outcome, retryAfterMs }: FailedRenewal): RollcallError {
  return new RollcallError(code, detail, { outcome, ...(retryAfterMs === null ? {} : { retryAfterMs }) });
}

function resultJson(result: RenewalResult, elapsedMs: number): object {
  if (!result.ok) return { ok: false, code: result.code, detail: result.detail };
  return {
    ok: true,
    expiresInMs: leftAfterRenewalMs(result.ttlMs, elapsedMs),
    incarnation: result.incarnation,
  };
}

/** The client renews all of them together, so the shortest lease sets the pace. */
function shortestTtlMs(results: readonly RenewalResult[]): number {
  const ttls = results.flatMap((result) => (result.ok ? [result.ttlMs] : []));
  return ttls.reduce((shortest, ttl) => Math.min(shortest, ttl), ttls[0] ?? registryLimits.ttlMsDefault);
}
