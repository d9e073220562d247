/**
 * The model's nouns as positional arrays and back: the one place that knows the order of their fields. Commands, records and results
 * are built from these.
 */

import type { RegistryEvent } from "./commands.ts";
import type { Fields } from "./fields.ts";
import {
  instanceStatuses,
  type Declaration,
  type Instance,
  type InstanceKey,
  type Override,
  type ServiceSettings,
} from "./model.ts";

export function keyFields(key: InstanceKey): readonly unknown[] {
  return [key.namespace, key.service, key.id];
}

export function readKey(fields: Fields): InstanceKey {
  return { namespace: fields.text(), service: fields.text(), id: fields.text() };
}

export function declarationFields(declared: Declaration): readonly unknown[] {
  return [
    declared.host,
    declared.port,
    declared.scheme,
    declared.version,
    declared.zone,
    declared.weight,
    declared.tags,
    declared.metadata.flat(),
    declared.status,
    declared.ttlMs,
  ];
}

export function readDeclaration(fields: Fields): Declaration {
  return {
    host: fields.text(),
    port: fields.integer(),
    scheme: fields.textOrNull(),
    version: fields.textOrNull(),
    zone: fields.textOrNull(),
    weight: fields.integer(),
    tags: fields.common(readTags),
    metadata: fields.common(readMetadata),
    status: fields.oneOf(instanceStatuses),
    ttlMs: fields.integer(),
  };
}

export function readTags(fields: Fields): string[] {
  return fields.list("tags", (item) => item.text());
}

function readMetadata(fields: Fields): [key: string, value: string][] {
  return pairs(fields.list("metadata", (item) => item.text()));
}

/** A key that has lost its value (an odd list) gets an empty one. */
function pairs(flat: readonly string[]): [key: string, value: string][] {
  const result: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) result.push([flat[i] ?? "", flat[i + 1] ?? ""]);
  return result;
}

export function overrideFields(layer: Override): readonly unknown[] {
  return [layer.weight, layer.tags, layer.status, layer.reason, layer.endsAt];
}

export function readOverride(fields: Fields): Override {
  return {
    weight: fields.integerOrNull(),
    tags: fields.listOrNull("tags", (item) => item.text()),
    status: fields.oneOfOrNull(instanceStatuses),
    reason: fields.text(),
    endsAt: fields.integerOrNull(),
  };
}

/** Everything but the key, which a record has in its own key. */
export function instanceFields(instance: Instance): readonly unknown[] {
  return [
    instance.incarnation,
    instance.revision,
    instance.session,
    declarationFields(instance.declared),
    instance.override === null ? null : overrideFields(instance.override),
    instance.registeredAt,
    instance.suspect,
  ];
}

export function readInstance(key: InstanceKey, fields: Fields): Instance {
  return {
    namespace: key.namespace,
    service: key.service,
    id: key.id,
    incarnation: fields.integer(),
    revision: fields.integer(),
    session: fields.textOrNull(),
    declared: fields.nested("declaration", readDeclaration),
    override: fields.nestedOrNull("override", readOverride),
    registeredAt: fields.integer(),
    suspect: fields.boolean(),
  };
}

export function wholeInstanceFields(instance: Instance): readonly unknown[] {
  return [keyFields(instance), instanceFields(instance)];
}

export function readWholeInstance(fields: Fields): Instance {
  const key = fields.nested("key", readKey);
  return fields.nested("instance", (inner) => readInstance(key, inner));
}

export function settingsFields(settings: ServiceSettings): readonly unknown[] {
  return [
    settings.protectionMinInstances,
    settings.protectionMaxExpiredPercent,
    settings.protectionWindowMs,
    settings.protectionHoldMs,
  ];
}

export function readSettings(fields: Fields): ServiceSettings {
  return {
    protectionMinInstances: fields.integer(),
    protectionMaxExpiredPercent: fields.integer(),
    protectionWindowMs: fields.integer(),
    protectionHoldMs: fields.integer(),
  };
}

/** Everything but the revision, which a record has in its key. */
export function eventFields(event: RegistryEvent): readonly unknown[] {
  switch (event.type) {
    case "put":
      return [event.type, wholeInstanceFields(event.instance)];
    case "delete":
      return [event.type, keyFields(event), event.reason];
    case "service":
      return [event.type, event.namespace, event.service, event.protected];
  }
}

export function readEvent(revision: number, fields: Fields): RegistryEvent {
  const type = fields.oneOf(["put", "delete", "service"]);
  switch (type) {
    case "put":
      return { type, revision, instance: fields.nested("instance", readWholeInstance) };
    case "delete": {
      const { namespace, service, id } = fields.nested("key", readKey);
      return { type, revision, namespace, service, id, reason: fields.oneOf(["deregistered", "expired"]) };
    }
    case "service":
      return {
        type,
        revision,
        namespace: fields.text(),
        service: fields.text(),
        protected: fields.boolean(),
      };
  }
}
