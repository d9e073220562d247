/** What operators set: thresholds of a service, and a layer over an instance. */

import * as answers from "../answer-schemas.ts";
import { json } from "../answer.ts";
import { body, keyOf, read, write, type MemberEndpoint } from "../endpoint.ts";
import { name } from "../schema-parts.ts";
import { override, settingsChange, toSettings } from "../schemas.ts";
import { submit } from "../submit.ts";
import { policies } from "../policy.ts";

const settingsPath = "/v1/services/{service}/settings";
const overridePath = "/v1/services/{service}/instances/{id}/override";

export const getSettings: MemberEndpoint = read({
  id: "getSettings",
  policy: policies.readService,
  path: settingsPath,
  summary: "The settings in force for a service.",
  params: { service: name },
  query: {},
  answers: [{ status: 200, description: "All settings.", schema: answers.serviceSettings }],
  errors: [],
  handle: ({ api, namespace, params }) => {
    const { registry } = api.member;
    return json(200, { settings: registry.settings(namespace, params.service), revision: registry.revision });
  },
});

export const putSettings: MemberEndpoint = write({
  id: "putSettings",
  policy: policies.operateService,
  method: "PUT",
  path: settingsPath,
  summary: "Change settings of a service. Those not named stay.",
  params: { service: name },
  query: {},
  body: body(settingsChange),
  answers: [{ status: 200, description: "All settings, after the change.", schema: answers.serviceSettings }],
  errors: ["storage_full"],
  handle: async (call) => {
    const changes = toSettings(call.body);
    const command = {
      kind: "setSettings",
      namespace: call.namespace,
      service: call.params.service,
      changes,
    } as const;
    return (await submit(call, command)).answer;
  },
});

export const putOverride: MemberEndpoint = write({
  id: "putOverride",
  policy: policies.operateService,
  method: "PUT",
  path: overridePath,
  summary: "Lay an operator's weight, tags or status over what the client declares.",
  params: { service: name, id: name },
  query: {},
  body: body(override),
  answers: [{ status: 200, description: "The instance with its layer.", schema: answers.changedInstance }],
  errors: ["not_registered", "storage_full"],
  handle: async (call) => {
    const { weight = null, tags = null, status = null, reason, endsInMs = null } = call.body;
    const layer = { weight, tags, status, reason, endsInMs };
    return (await submit(call, { kind: "setOverride", ...keyOf(call), layer })).answer;
  },
});

export const deleteOverride: MemberEndpoint = write({
  id: "deleteOverride",
  policy: policies.operateService,
  method: "DELETE",
  path: overridePath,
  summary: "Take the operator's layer away.",
  params: { service: name, id: name },
  query: {},
  answers: [{ status: 200, description: "The instance as declared.", schema: answers.changedInstance }],
  errors: ["not_registered"],
  handle: async (call) => (await submit(call, { kind: "setOverride", ...keyOf(call), layer: null })).answer,
});
