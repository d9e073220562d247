/** One instance: register, patch, deregister, look at. */

import * as answers from "../answer-schemas.ts";
import { json, type Answer } from "../answer.ts";
import { body, keyOf, optionalBody, read, write, type MemberEndpoint } from "../endpoint.ts";
import { ifAbsentHeader, ifMatchHeader, preconditions, revisionTag } from "../preconditions.ts";
import { integerParameter } from "../parameters.ts";
import { singleInstanceJson } from "../render.ts";
import { name } from "../schema-parts.ts";
import { drainRequest, instancePatch, registration, toChanges, toDeclaration } from "../schemas.ts";
import { submit, submitFor } from "../submit.ts";
import { RollcallError } from "../../lib/errors.ts";
import { policies } from "../policy.ts";

const path = "/v1/services/{service}/instances/{id}";
const params = { service: name, id: name };
const incarnation = integerParameter(0, Number.MAX_SAFE_INTEGER)
  .optional()
  .describe("Refuse as superseded if a newer registration holds the id.");

export const register: MemberEndpoint = write({
  id: "registerInstance",
  policy: policies.writeInstance,
  method: "PUT",
  path,
  summary:
    'Register or replace an instance. `If-None-Match: *` only if absent; `If-Match: "REVISION"` only that revision.',
  params,
  query: {},
  headers: [ifMatchHeader, ifAbsentHeader],
  body: body(registration),
  answers: [
    { status: 201, description: "It was not there before.", schema: answers.registered, isTagged: true },
    {
      status: 200,
      description: "It was there; `changed` says whether anything differs now.",
      schema: answers.registered,
      isTagged: true,
    },
  ],
  errors: ["precondition_failed", "conflict", "storage_full"],
  handle: async (call) => {
    const { instance, answer } = await submit(call, {
      kind: "register",
      ...keyOf(call),
      declared: toDeclaration(call.body),
      session: call.body.session ?? null,
      ...preconditions(call.exchange.request),
    });
    return withTag(answer, instance.revision);
  },
});

export const patch: MemberEndpoint = write({
  id: "patchInstance",
  policy: policies.writeInstance,
  method: "PATCH",
  path,
  summary: 'Change some fields (JSON merge patch, RFC 7396). `If-Match: "REVISION"` only that revision.',
  params,
  query: { incarnation },
  headers: [ifMatchHeader],
  body: body(instancePatch, { mediaTypes: ["application/merge-patch+json", "application/json"] }),
  answers: [
    {
      status: 200,
      description: "The instance after the change.",
      schema: answers.changedInstance,
      isTagged: true,
    },
  ],
  errors: ["not_registered", "superseded", "precondition_failed", "storage_full"],
  handle: async (call) => {
    const { ifRevision } = preconditions(call.exchange.request, { takesIfNoneMatch: false });
    const { instance, answer } = await submit(call, {
      kind: "patch",
      ...keyOf(call),
      changes: toChanges(call.body),
      incarnation: call.query.incarnation ?? null,
      ifRevision,
    });
    return withTag(answer, instance.revision);
  },
});

export const deregister: MemberEndpoint = write({
  id: "deregisterInstance",
  policy: policies.keepInstance,
  method: "DELETE",
  path,
  summary: "Deregister an instance.",
  params,
  query: { incarnation },
  answers: [{ status: 200, description: "It is gone.", schema: answers.deregistered }],
  errors: ["not_registered", "superseded"],
  handle: async (call) => {
    const command = {
      kind: "deregister",
      ...keyOf(call),
      incarnation: call.query.incarnation ?? null,
    } as const;
    return (await submit(call, command)).answer;
  },
});

export const get: MemberEndpoint = read({
  id: "getInstance",
  policy: policies.readService,
  path,
  summary: "One instance, with what is left of its lease.",
  params,
  query: {},
  answers: [{ status: 200, description: "The instance.", schema: answers.singleInstance, isTagged: true }],
  errors: ["not_registered"],
  handle: (call) => {
    const { member } = call.api;
    const key = keyOf(call);
    const instance = member.registry.instance(key);
    if (instance === null)
      throw new RollcallError(
        "not_registered",
        `No instance "${key.id}" of service "${key.service}" is registered in namespace "${key.namespace}".`,
      );
    return withTag(
      json(200, { instance: singleInstanceJson(member, instance), revision: instance.revision }),
      instance.revision,
    );
  },
});

export const drain: MemberEndpoint = write({
  id: "drainInstance",
  policy: policies.writeInstance,
  method: "POST",
  path: `${path}/drain`,
  summary: "Set the status `draining`, and wait until every open watch on every member has been sent that.",
  params,
  query: { incarnation },
  body: optionalBody(drainRequest),
  answers: [{ status: 200, description: "Whether everybody who watches knows.", schema: answers.drained }],
  errors: ["not_registered", "superseded", "storage_full"],
  handle: async (call) => {
    const { revision } = await submitFor(call, {
      kind: "patch",
      ...keyOf(call),
      changes: { status: "draining" },
      incarnation: call.query.incarnation ?? null,
      ifRevision: null,
      ...(call.body.reason === undefined ? {} : { reason: call.body.reason }),
    });
    const waitingFor = await call.api.member.awaitWatches(revision, call.body.waitMs);
    if (waitingFor.length === 0) return json(200, { revision, propagated: true });
    return json(200, { revision, propagated: false, waitingFor });
  },
});

/** What `If-Match` takes later. */
function withTag(answer: Answer, revision: number): Answer {
  return { ...answer, headers: { ...answer.headers, ETag: revisionTag(revision) } };
}
