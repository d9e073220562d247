/** Several writes in one: applied in order, with nothing between, each with its own result. */

import type { Batch } from "../../registry/commands.ts";
import * as answers from "../answer-schemas.ts";
import { json } from "../answer.ts";
import { bodyLimits } from "../body.ts";
import { body, write, type MemberEndpoint } from "../endpoint.ts";
import { failureJson, successJson } from "../render.ts";
import { batch, toChanges, toDeclaration, type BatchOperation } from "../schemas.ts";
import { renderingOf, submitFor } from "../submit.ts";
import { policies } from "../policy.ts";

export const applyBatch: MemberEndpoint = write({
  id: "applyBatch",
  policy: policies.writeInstances,
  method: "POST",
  path: "/v1/batch",
  summary: "Register, patch, deregister and renew many at once. One that fails does not stop the others.",
  params: {},
  query: {},
  body: body(batch, { bytesMax: bodyLimits.bulkBytesMax }),
  answers: [{ status: 200, description: "Each operation's result, in order.", schema: answers.batchResults }],
  errors: ["storage_full"],
  handle: async (call) => {
    call.grant.mustReach(call.body.operations);
    const operations = call.body.operations.map(toCommand);
    const { results, revision } = await submitFor(call, { kind: "batch", operations });
    const rendering = renderingOf(call);
    const rendered = results.map((result) =>
      result.ok ? successJson(result, rendering) : failureJson(result),
    );
    return json(200, { results: rendered.map(({ status, body }) => ({ status, ...body })), revision });
  },
});

function toCommand(operation: BatchOperation): Batch["operations"][number] {
  const { namespace, service, id } = operation;
  const key = { namespace, service, id };
  switch (operation.op) {
    case "register":
      return {
        kind: "register",
        ...key,
        declared: toDeclaration(operation),
        session: operation.session ?? null,
        ifAbsent: operation.ifAbsent,
        ifRevision: operation.ifRevision ?? null,
      };
    case "patch":
      return {
        kind: "patch",
        ...key,
        changes: toChanges(operation),
        incarnation: operation.incarnation ?? null,
        ifRevision: operation.ifRevision ?? null,
      };
    case "deregister":
      return { kind: "deregister", ...key, incarnation: operation.incarnation ?? null };
    case "renew":
      return {
        kind: "renewOne",
        ...key,
        incarnation: operation.incarnation ?? null,
        status: operation.status ?? null,
      };
  }
}
