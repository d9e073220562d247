/**
 * Results as positional arrays, and back: what is recorded so that a repeated write gets its first result again, bit for bit.
 */

import type { CommandResult, Failure, Success } from "./commands.ts";
import type { Fields } from "./fields.ts";
import { readSettings, readWholeInstance, settingsFields, wholeInstanceFields } from "./instance-codec.ts";

const failureCodes = [
  "not_registered",
  "not_found",
  "superseded",
  "conflict",
  "precondition_failed",
  "storage_full",
  "invalid_argument",
] as const satisfies readonly Failure["code"][];

const kinds = [
  "register",
  "renew",
  "renewOne",
  "patch",
  "deregister",
  "expire",
  "setOverride",
  "setSettings",
  "presence",
  "batch",
] as const satisfies readonly Success["kind"][];

export function resultToArray(result: CommandResult): unknown[] {
  if (!result.ok) return ["failure", result.code, result.detail, result.revision];
  return [result.kind, ...successFields(result)];
}

function successFields(result: Success): readonly unknown[] {
  switch (result.kind) {
    case "register":
      return [wholeInstanceFields(result.instance), result.revision, result.created, result.changed];
    case "renew":
      return [result.ttlsMs];
    case "renewOne":
      return [result.incarnation, result.ttlMs, wholeInstanceFields(result.instance), result.changed];
    case "patch":
    case "setOverride":
      return [wholeInstanceFields(result.instance), result.revision, result.changed];
    case "deregister":
      return [result.revision];
    case "expire":
      return [result.expired, result.suspected];
    case "setSettings":
      return [settingsFields(result.settings), result.revision];
    case "presence":
      return [result.connection, result.attached];
    case "batch":
      return [result.results.map(resultToArray), result.revision];
  }
}

export function readResult(fields: Fields): CommandResult {
  const kind = fields.oneOf(["failure", ...kinds]);
  if (kind === "failure") return readFailure(fields);
  return readSuccess(kind, fields);
}

function readFailure(fields: Fields): Failure {
  return {
    ok: false,
    code: fields.oneOf(failureCodes),
    detail: fields.text(),
    revision: fields.integerOrNull(),
  };
}

function readSuccess(kind: Success["kind"], fields: Fields): Success {
  const ok = true;
  switch (kind) {
    case "register": {
      const instance = fields.nested("instance", readWholeInstance);
      const revision = fields.integer();
      return { ok, kind, instance, revision, created: fields.boolean(), changed: fields.boolean() };
    }
    case "renew":
      return { ok, kind, ttlsMs: fields.list("ttlsMs", (item) => item.integer()) };
    case "renewOne": {
      const incarnation = fields.integer();
      const ttlMs = fields.integer();
      const instance = fields.nested("instance", readWholeInstance);
      return { ok, kind, incarnation, ttlMs, instance, changed: fields.boolean() };
    }
    case "patch":
    case "setOverride": {
      const instance = fields.nested("instance", readWholeInstance);
      return { ok, kind, instance, revision: fields.integer(), changed: fields.boolean() };
    }
    case "deregister":
      return { ok, kind, revision: fields.integer() };
    case "expire":
      return { ok, kind, expired: fields.integer(), suspected: fields.integer() };
    case "setSettings":
      return { ok, kind, settings: fields.nested("settings", readSettings), revision: fields.integer() };
    case "presence": {
      const connection = fields.integer();
      return { ok, kind, connection, attached: fields.list("attached", (item) => item.boolean()) };
    }
    case "batch": {
      const results = fields.list("results", (item) => item.nested("result", readResult));
      return { ok, kind, results, revision: fields.integer() };
    }
  }
}
