/**
 * One copy of what many instances have in common: their zone, version and session, their tags and their metadata. At a load, where every
 * record brings strings and lists of its own; it is forgotten with the load, so that it keeps nothing alive.
 */

import type { Declaration, Instance } from "./model.ts";

type Pairs = Declaration["metadata"];

/** Lists with more characters than this are seldom the same, and would cost as much again as keys. */
const charsMax = 256;

/** Different values kept at most: with more there is little in common. */
const valuesMax = 10_000;

export class ListsInCommon {
  readonly #texts = new Map<string, string>();
  readonly #tags = new Map<string, readonly string[]>();
  readonly #pairs = new Map<string, Pairs>();

  /** The same instance, made of what is kept already. */
  withLists(instance: Instance): Instance {
    const { declared } = instance;
    return {
      namespace: instance.namespace,
      service: instance.service,
      id: instance.id,
      incarnation: instance.incarnation,
      revision: instance.revision,
      session: this.#text(instance.session),
      declared: {
        host: this.#text(declared.host),
        port: declared.port,
        scheme: this.#text(declared.scheme),
        version: this.#text(declared.version),
        zone: this.#text(declared.zone),
        weight: declared.weight,
        tags: keep(this.#tags, JSON.stringify(declared.tags), declared.tags),
        metadata: keep(this.#pairs, JSON.stringify(declared.metadata), declared.metadata),
        status: declared.status,
        ttlMs: declared.ttlMs,
      },
      override: instance.override,
      registeredAt: instance.registeredAt,
      suspect: instance.suspect,
    };
  }

  #text<Text extends string | null>(text: Text): Text {
    return text === null ? text : (keep<string>(this.#texts, text, text) as Text);
  }
}

function keep<Value>(kept: Map<string, Value>, key: string, value: Value): Value {
  const known = kept.get(key);
  if (known !== undefined) return known;
  if (key.length <= charsMax && kept.size < valuesMax) kept.set(key, value);
  return value;
}
