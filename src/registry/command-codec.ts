/**
 * Commands as compact positional arrays, and back: what a log entry's payload holds before it is packed into bytes.
 *
 * The numbers of kinds and the order of fields are a format on disk: they are only ever added to, and what is added raises
 * commandVersion.
 */

import {
  commandVersion,
  type Batch,
  type Command,
  type CommandBatch,
  type CommandKind,
  type Deregister,
  type Envelope,
  type Patch,
  type PresenceChange,
  type Register,
  type RenewOne,
  type SetOverride,
  type SetSettings,
} from "./commands.ts";
import { type Fields, MalformedError, ValueFields } from "./fields.ts";
import { declarationFields, keyFields, readDeclaration, readKey } from "./instance-codec.ts";
import { instanceStatuses, type ServiceSettings } from "./model.ts";
import { UnknownCommandError } from "./unknown-command.ts";

/** These bytes are no batch of commands. */
export class CommandFormatError extends Error {
  constructor(message: string) {
    super(`not a batch of commands: ${message}`);
    this.name = "CommandFormatError";
  }
}

export const kindNumbers = {
  register: 1,
  renew: 2,
  renewOne: 3,
  patch: 4,
  deregister: 5,
  expire: 6,
  setOverride: 7,
  setSettings: 8,
  presence: 9,
  batch: 10,
} as const satisfies Record<CommandKind, number>;

export function batchToArray(batch: CommandBatch): unknown[] {
  return [batch.version, batch.envelopes.map(envelopeToArray)];
}

/** Throws a CommandFormatError for what makes no sense, and an UnknownCommandError for what a newer release has written. */
export function batchFromArray(value: unknown): CommandBatch {
  return readBatchOf(() => new ValueFields(value, "batch"));
}

/** The same for a batch whose fields are read from elsewhere than an array. */
export function readBatchOf(open: () => Fields): CommandBatch {
  try {
    const fields = open();
    const version = fields.integer();
    if (version !== commandVersion) throw new UnknownCommandError(`commands of version ${version}`);
    const envelopes = fields.list("envelopes", (item) => item.nested("envelope", readEnvelope));
    fields.end();
    return { version, envelopes };
  } catch (error) {
    throw error instanceof MalformedError ? new CommandFormatError(error.message) : error;
  }
}

function envelopeToArray(envelope: Envelope): unknown[] {
  const { command, member, at, idempotencyKey, by } = envelope;
  return [member, at, idempotencyKey, by, commandToArray(command)];
}

function readEnvelope(fields: Fields): Envelope {
  return {
    member: fields.text(),
    at: fields.integer(),
    idempotencyKey: fields.textOrNull(),
    by: fields.textOrNull(),
    command: fields.nested("command", readCommand),
  };
}

export function commandToArray(command: Command): unknown[] {
  return [kindNumbers[command.kind], ...commandFields(command)];
}

function commandFields(command: Command): readonly unknown[] {
  switch (command.kind) {
    case "register":
      return [
        keyFields(command),
        declarationFields(command.declared),
        command.session,
        command.ifAbsent,
        command.ifRevision,
      ];
    case "renew":
      return [command.handles];
    case "renewOne":
      return [keyFields(command), command.incarnation, command.status];
    case "patch":
      return [
        keyFields(command),
        patchFields(command.changes),
        command.incarnation,
        command.ifRevision,
        // Most patches have none, and need not carry that.
        ...(command.reason === undefined ? [] : [command.reason]),
      ];
    case "deregister":
      return [keyFields(command), command.incarnation];
    case "expire":
      return [];
    case "setOverride":
      return [keyFields(command), command.layer === null ? null : layerFields(command.layer)];
    case "setSettings":
      return [command.namespace, command.service, settingNames.map((name) => command.changes[name] ?? null)];
    case "presence":
      return [
        command.change,
        command.instances.map((instance) => [...keyFields(instance), instance.incarnation]),
        command.connection,
        command.lingerMs,
      ];
    case "batch":
      return [command.operations.map(commandToArray)];
  }
}

function readCommand(fields: Fields): Command {
  const number = fields.integer();
  switch (number) {
    case kindNumbers.register:
      return readRegister(fields);
    case kindNumbers.renew:
      return { kind: "renew", handles: fields.list("handles", (item) => item.integer()) };
    case kindNumbers.renewOne:
      return readRenewOne(fields);
    case kindNumbers.patch:
      return readPatch(fields);
    case kindNumbers.deregister:
      return readDeregister(fields);
    case kindNumbers.expire:
      return { kind: "expire" };
    case kindNumbers.setOverride:
      return readSetOverride(fields);
    case kindNumbers.setSettings:
      return readSetSettings(fields);
    case kindNumbers.presence:
      return readPresence(fields);
    case kindNumbers.batch:
      return readBatch(fields);
    default:
      throw new UnknownCommandError(`a command of kind ${number}`);
  }
}

function readRegister(fields: Fields): Register {
  const { namespace, service, id } = fields.nested("key", readKey);
  return {
    kind: "register",
    namespace,
    service,
    id,
    declared: fields.nested("declaration", readDeclaration),
    session: fields.textOrNull(),
    ifAbsent: fields.boolean(),
    ifRevision: fields.integerOrNull(),
  };
}

function readRenewOne(fields: Fields): RenewOne {
  return {
    kind: "renewOne",
    ...fields.nested("key", readKey),
    incarnation: fields.integerOrNull(),
    status: fields.oneOfOrNull(instanceStatuses),
  };
}

function readPatch(fields: Fields): Patch {
  return {
    kind: "patch",
    ...fields.nested("key", readKey),
    changes: fields.nested("patch", readPatchChanges),
    incarnation: fields.integerOrNull(),
    ifRevision: fields.integerOrNull(),
    ...(fields.hasMore() ? { reason: fields.text() } : {}),
  };
}

function readDeregister(fields: Fields): Deregister {
  return { kind: "deregister", ...fields.nested("key", readKey), incarnation: fields.integerOrNull() };
}

/** How one field of a patch is read. Fields that are not in the patch are not in its array. */
const patchReaders: {
  readonly [Name in keyof Patch["changes"]]-?: (fields: Fields) => Patch["changes"][Name];
} = {
  host: (fields) => fields.text(),
  port: (fields) => fields.integer(),
  scheme: (fields) => fields.textOrNull(),
  version: (fields) => fields.textOrNull(),
  zone: (fields) => fields.textOrNull(),
  weight: (fields) => fields.integerOrNull(),
  tags: (fields) => fields.listOrNull("tags", (item) => item.text()),
  metadata: (fields) =>
    fields.listOrNull("metadata", (item) =>
      item.nested("pair", (pair): readonly [string, string | null] => [pair.text(), pair.textOrNull()]),
    ),
  status: (fields) => fields.oneOfOrNull(instanceStatuses),
  ttlMs: (fields) => fields.integerOrNull(),
};

const patchNames = Object.keys(patchReaders) as (keyof Patch["changes"])[];

/** Name, value, name, value: most patches change one field. */
function patchFields(changes: Patch["changes"]): unknown[] {
  const fields: unknown[] = [];
  for (const name of patchNames) {
    const change = changes[name];
    if (change !== undefined) fields.push(name, [change]);
  }
  return fields;
}

function readPatchChanges(fields: Fields): Patch["changes"] {
  const changes: [name: string, value: unknown][] = [];
  while (fields.hasMore()) {
    const name = fields.oneOf(patchNames);
    changes.push([name, fields.nested<unknown>(name, patchReaders[name])]);
  }
  return Object.fromEntries(changes) as Patch["changes"];
}

function layerFields(layer: NonNullable<SetOverride["layer"]>): unknown[] {
  return [layer.weight, layer.tags, layer.status, layer.reason, layer.endsInMs];
}

function readSetOverride(fields: Fields): SetOverride {
  return {
    kind: "setOverride",
    ...fields.nested("key", readKey),
    layer: fields.nestedOrNull("layer", (layer) => ({
      weight: layer.integerOrNull(),
      tags: layer.listOrNull("tags", (item) => item.text()),
      status: layer.oneOfOrNull(instanceStatuses),
      reason: layer.text(),
      endsInMs: layer.integerOrNull(),
    })),
  };
}

const settingNames = [
  "protectionMinInstances",
  "protectionMaxExpiredPercent",
  "protectionWindowMs",
  "protectionHoldMs",
] as const satisfies readonly (keyof ServiceSettings)[];

function readSetSettings(fields: Fields): SetSettings {
  const namespace = fields.text();
  const service = fields.text();
  const values = fields.nested("settings", (inner) =>
    settingNames.map((name) => [name, inner.integerOrNull()] as const),
  );
  const changes: Partial<ServiceSettings> = Object.fromEntries(values.filter(([, value]) => value !== null));
  return { kind: "setSettings", namespace, service, changes };
}

function readPresence(fields: Fields): PresenceChange {
  return {
    kind: "presence",
    change: fields.oneOf(["attach", "break"]),
    instances: fields.list("instances", (item) =>
      item.nested("instance", (instance) => ({ ...readKey(instance), incarnation: instance.integer() })),
    ),
    connection: fields.integer(),
    lingerMs: fields.integer(),
  };
}

/** Only what may stand in a batch is read at all, so that batches cannot be nested, however deep the bytes are. */
function readOperation(fields: Fields): Batch["operations"][number] {
  const number = fields.integer();
  switch (number) {
    case kindNumbers.register:
      return readRegister(fields);
    case kindNumbers.renewOne:
      return readRenewOne(fields);
    case kindNumbers.patch:
      return readPatch(fields);
    case kindNumbers.deregister:
      return readDeregister(fields);
    default:
      throw new MalformedError(`batch: holds a command of kind ${number}, which may only stand alone`);
  }
}

function readBatch(fields: Fields): Batch {
  return {
    kind: "batch",
    operations: fields.list("operations", (item) => item.nested("operation", readOperation)),
  };
}
