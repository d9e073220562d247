/**
 * What clients ask for. Some keys have leases that run out within a run, others never; some writes may be repeated, others not.
 */

import type { Command, CommandResult } from "../../../src/registry/commands.ts";
import type { Declaration, InstanceKey, InstanceStatus } from "../../../src/registry/model.ts";
import type { Random } from "../random.ts";
import { isStable } from "./history.ts";

export interface WriteTask {
  readonly kind: "write";
  readonly name: string;
  readonly command: Command;
  readonly idempotencyKey: string | null;
}

export type Task =
  | WriteTask
  | { readonly kind: "renew"; readonly key: InstanceKey; readonly incarnation: number | null }
  | {
      readonly kind: "read";
      readonly key: InstanceKey;
      readonly level: "local" | "linearizable" | "minRevision" | "maxStale";
    };

/** Leases as short as they may be, and as long. */
const shortTtlMs = 1000;
const longTtlMs = 86_400_000;

const namespace = "default";

/** Where everything is asked for that is asked seldom: presence, protection, operators' layers. */
export const oddService = "other";
const statuses: readonly InstanceStatus[] = ["up", "starting", "draining", "down"];

/** Tags and metadata from which labels are drawn where they need not tell anything. */
const colours = ["blue", "green", "grey"];
const tiers = ["front", "back"];

export class Workload {
  readonly #keys: InstanceKey[] = [];
  readonly #keyedShare: number;
  readonly #hasLabels: boolean;
  /** Newest known incarnation and connection by name. */
  readonly #incarnations = new Map<string, number>();
  readonly #connections = new Map<string, number>();

  constructor(options: {
    readonly services: number;
    readonly keysPerService: number;
    readonly keyedShare: number;
    readonly hasLabels: boolean;
  }) {
    this.#keyedShare = options.keyedShare;
    this.#hasLabels = options.hasLabels;
    for (let s = 0; s < options.services; s += 1) {
      for (let k = 0; k < options.keysPerService; k += 1) {
        this.#keys.push({ namespace, service: `s${s}`, id: `stable-${k}` });
        this.#keys.push({ namespace, service: `s${s}`, id: `leased-${k}` });
      }
    }
  }

  next(random: Random, name: string): Task {
    const key = random.pick(this.#keys);
    const kind = random.weighted([
      [20, "register"],
      [8, "patch"],
      [6, "deregister"],
      [18, "renew"],
      [3, "renewOne"],
      [3, "other"],
      [8, "local"],
      [12, "linearizable"],
      [4, "minRevision"],
      [4, "maxStale"],
    ] as const);
    switch (kind) {
      case "renew":
        return { kind, key, incarnation: random.chance(0.5) ? this.#incarnationOf(key) : null };
      case "local":
      case "linearizable":
      case "minRevision":
      case "maxStale":
        return { kind: "read", key, level: kind };
      case "register":
        return this.#write(random, name, this.#register(random, key, name));
      case "patch":
        return this.#write(random, name, {
          kind,
          ...key,
          changes: { host: name, ...this.#changedLabels(random, key, name) },
          incarnation: null,
          ifRevision: null,
        });
      case "deregister":
        return this.#write(random, name, { kind, ...key, incarnation: null });
      case "renewOne":
        return this.#write(random, name, {
          kind,
          ...key,
          incarnation: this.#incarnationOf(key),
          status: null,
        });
      case "other":
        return this.#write(random, name, this.#other(random, name));
    }
  }

  answered(command: Command, result: CommandResult): void {
    if (!result.ok) return;
    if (result.kind === "register")
      this.#incarnations.set(nameOf(result.instance), result.instance.incarnation);
    if (command.kind === "presence" && result.kind === "presence")
      for (const instance of command.instances) this.#connections.set(nameOf(instance), result.connection);
  }

  #incarnationOf(key: InstanceKey): number | null {
    return this.#incarnations.get(nameOf(key)) ?? null;
  }

  #write(random: Random, name: string, command: Command): WriteTask {
    return { kind: "write", name, command, idempotencyKey: random.chance(this.#keyedShare) ? name : null };
  }

  /** What is asked seldom, in a service of its own. */
  #other(random: Random, name: string): Command {
    const key = { namespace, service: oddService, id: `leased-${random.below(8)}` };
    const incarnation = this.#incarnationOf(key);
    switch (random.below(7)) {
      case 0:
        return {
          kind: "setOverride",
          ...key,
          layer: random.chance(0.3)
            ? null
            : {
                weight: random.below(100),
                tags: random.chance(0.5) ? [name] : null,
                status: random.chance(0.5) ? random.pick(statuses) : null,
                reason: name,
                endsInMs: random.chance(0.5) ? random.integer(100, 3000) : null,
              },
        };
      case 1:
        return {
          kind: "setSettings",
          namespace,
          service: oddService,
          changes: {
            protectionMinInstances: random.integer(1, 5),
            protectionMaxExpiredPercent: random.pick([0, 20, 50, 100]),
            protectionHoldMs: random.integer(1000, 4000),
          },
        };
      case 2:
        return this.#presence(random, key, incarnation ?? 1);
      case 3: {
        const operations = [
          this.#register(random, key, name),
          { kind: "deregister", ...key, incarnation: null } as const,
        ];
        return { kind: "batch", operations: random.shuffled(operations) };
      }
      default:
        return this.#register(random, key, name);
    }
  }

  #register(random: Random, key: InstanceKey, name: string): Extract<Command, { kind: "register" }> {
    const command = register(random, key, name);
    if (!this.#hasLabels) return command;
    const labels = isStable(key) ? labelsOf(name) : anyLabels(random);
    return { ...command, declared: { ...command.declared, ...labels } };
  }

  #changedLabels(random: Random, key: InstanceKey, name: string): Partial<Labels> | ClearedLabels {
    if (!this.#hasLabels) return {};
    if (isStable(key)) return labelsOf(name);
    return random.pick([
      {},
      { tags: null },
      { metadata: null },
      { metadata: [["tier", null]] },
      anyLabels(random),
    ]);
  }

  #presence(random: Random, key: InstanceKey, incarnation: number): Command {
    const connection = this.#connections.get(nameOf(key)) ?? 0;
    const change = connection > 0 && random.chance(0.5) ? "break" : "attach";
    return {
      kind: "presence",
      change,
      instances: [{ ...key, incarnation }],
      connection: change === "break" ? connection : 0,
      lingerMs: random.integer(0, 2000),
    };
  }
}

function register(random: Random, key: InstanceKey, name: string): Extract<Command, { kind: "register" }> {
  return {
    kind: "register",
    ...key,
    declared: declaration(random, key, name),
    session: `session-${random.below(3)}`,
    ifAbsent: false,
    ifRevision: null,
  };
}

/** The host tells which write this was. Leased keys declare the same again and again, which renews them. */
function declaration(random: Random, key: InstanceKey, name: string): Declaration {
  const isLeased = key.id.startsWith("leased");
  return {
    host: isLeased ? `host-${random.below(2)}` : name,
    port: 80,
    scheme: null,
    version: null,
    zone: null,
    weight: 1,
    tags: [],
    metadata: [],
    status: "up",
    ttlMs: isLeased ? shortTtlMs * random.integer(1, 2) : longTtlMs,
  };
}

type Labels = Pick<Declaration, "tags" | "metadata">;
type ClearedLabels = Pick<Extract<Command, { kind: "patch" }>["changes"], "tags" | "metadata">;

/** Like the host, these tell which write this was: nobody ever sees a part of one write and a part of another. */
export function labelsOf(name: string): Labels {
  return { tags: [name], metadata: [["by", name]] };
}

/** Few different ones, so that many instances have them in common. */
function anyLabels(random: Random): Labels {
  return {
    tags: colours.filter(() => random.chance(0.3)),
    metadata: random.chance(0.5) ? [["tier", random.pick(tiers)]] : [],
  };
}

function nameOf({ namespace: space, service, id }: InstanceKey): string {
  return `${space}/${service}/${id}`;
}
