/**
 * What clients asked and were told about keys whose leases never run out within a run: what the linearizability checker judges.
 */

import type { Command, CommandResult } from "../../../src/registry/commands.ts";
import type { InstanceKey } from "../../../src/registry/model.ts";
import type { Operation } from "../linearizability/operation.ts";

interface Call {
  readonly client: string;
  readonly beganMs: number;
  readonly endedMs: number;
}

export class History {
  readonly #byKey = new Map<string, Operation[]>();

  /** A result of null: it may have taken effect, and may yet. */
  wrote(
    call: Call & { readonly name: string; readonly command: Command },
    result: CommandResult | null,
  ): void {
    const { command } = call;
    if (command.kind !== "register" && command.kind !== "patch" && command.kind !== "deregister") return;
    const host =
      command.kind === "register"
        ? command.declared.host
        : command.kind === "patch"
          ? (command.changes.host ?? "")
          : null;
    const found = result === null ? null : result.ok ? "done" : "absent";
    if (result !== null && !result.ok && result.code !== "not_registered") return;
    this.#add(command, {
      client: call.client,
      beganMs: call.beganMs,
      endedMs: result === null ? Infinity : call.endedMs,
      input:
        command.kind === "register"
          ? { kind: "set", value: host! }
          : command.kind === "patch"
            ? { kind: "change", value: host! }
            : { kind: "remove" },
      output: found,
    });
  }

  read(call: Call & { readonly key: InstanceKey }, host: string | null): void {
    const { client, beganMs, endedMs } = call;
    this.#add(call.key, { client, beganMs, endedMs, input: { kind: "read" }, output: { value: host } });
  }

  /** One history for each key: keys know nothing of each other. */
  histories(): ReadonlyMap<string, readonly Operation[]> {
    return this.#byKey;
  }

  #add(key: InstanceKey, operation: Operation): void {
    if (!isStable(key)) return;
    const name = `${key.service}/${key.id}`;
    const operations = this.#byKey.get(name) ?? [];
    operations.push(operation);
    this.#byKey.set(name, operations);
  }
}

/** Whether leases under this key outlast a run. */
export function isStable(key: InstanceKey): boolean {
  return key.id.startsWith("stable");
}
