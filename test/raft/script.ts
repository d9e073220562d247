/**
 * The language of the golden scripts in testscripts/. Filters are `from=n1 to=n2 type=vote`; no filter means all.
 *
 *     bootstrap n1 n2 n3 + n4      voters n1 n2 n3 and the learner n4, with the membership as entry 1@1
 *     blank n4                     a member that waits to be added
 *     log n1 term=3 1 1 2          (before anything else of n1) voters as bootstrapped, its log ends with entries of these terms
 *     elect n1                     without a word: n1 campaigns, wins, and everything comes to rest
 *     tick n1 [count], tick all    time passes; `all` counts one tick for everybody
 *     store n1 [count]             the oldest writes of n1 reach its disk
 *     deliver [filter]             messages in flight arrive, oldest first; not those that this causes
 *     repeat [filter]              the same, and copies stay in flight
 *     drop [filter]                they are lost
 *     settle                       stores and delivers until nothing moves; tells only what members say about it
 *     propose n1 text, read n1, transfer n1 [n2], change n1 addLearner|readdress|promote|remove n4
 *     crash n1 [writes], restart n1, forget n1 entries
 *     stream-lost n1 n2, unreachable n1 n2, storage-failed n1
 *     checkpoint n1 [retain [bytes]], install n1
 *     leases on|off, pass milliseconds, status [n1], show n1
 */

import type { Effect, MembershipChange } from "../../src/raft/io.ts";
import { checkInvariants } from "../../src/raft/invariants.ts";
import type { Message } from "../../src/raft/messages.ts";
import type { Entry, NodeId } from "../../src/raft/types.ts";
import type { Interpreter } from "../support/golden.ts";
import { describeEntry, incarnationOf, membershipOf, RaftNetwork, text } from "../support/raft-network.ts";
import type { TestMember } from "../support/raft-network.ts";
import { describeEffect, describeStatus } from "./describe.ts";

export function newInterpreter(): Interpreter {
  const script = new Script();
  return (command) => script.run(command);
}

class Script {
  readonly #network: RaftNetwork;
  #lines: string[] = [];
  /** Everything; or without writes and messages; or nothing at all. */
  #told: "all" | "brief" | "nothing" = "all";
  #count = 0;

  constructor() {
    // Each member has a patience of its own, so that the first one campaigns first.
    const patience = (id: NodeId): number => ((id.charCodeAt(1) - "1".charCodeAt(0)) % 4) / 4;
    this.#network = new RaftNetwork({
      config: { appendBytesMax: 60, inflightMessagesMax: 3, promotionLagMax: 2 },
      random: (id) => () => patience(id),
      onEffect: (member, effect) => this.#tell(member, effect),
      afterStep: (member) => checkInvariants(member.core),
    });
  }

  run(command: string): string[] {
    const [verb = "", ...words] = command.split(" ");
    this.#lines = [];
    this.#do(verb, words);
    return this.#lines;
  }

  #tell(member: TestMember, effect: Effect): void {
    if (this.#told === "nothing") return;
    if (this.#told === "brief" && ["persist", "send", "compactLog"].includes(effect.kind)) return;
    this.#lines.push(describeEffect(member.id, member.core.status.term, effect));
  }

  #do(verb: string, words: string[]): void {
    const network = this.#network;
    const [id = "", second, third] = words;
    const { nowMs } = network;
    switch (verb) {
      case "bootstrap":
        return this.#bootstrap(words);
      case "blank":
        return void network.add(id);
      case "log":
        return this.#startWithLog(id, words.slice(1));
      case "tick":
        return this.#tick(id, Number(second ?? 1));
      case "store":
        return network.store(id, second === undefined ? undefined : Number(second));
      case "deliver":
      case "repeat":
        return this.#deliver(words, verb === "repeat");
      case "drop":
        return this.#drop(words);
      case "elect":
        return this.#elect(id);
      case "settle":
        return this.#telling("brief", () => network.settle());
      case "propose":
        return network.step(id, {
          kind: "propose",
          nowMs,
          ctx: 0,
          payload: text(words.slice(1).join(" ")),
          ifTerm: null,
        });
      case "read":
        this.#count += 1;
        return network.step(id, { kind: "read", nowMs, ctx: this.#count, id: `${id}-read-${this.#count}` });
      case "transfer":
        return network.step(id, { kind: "transfer", nowMs, to: second ?? null });
      case "change":
        return network.step(id, {
          kind: "changeMembership",
          nowMs,
          ctx: 0,
          change: changeOf(words.slice(1)),
        });
      case "crash":
        return network.crash(id, Number(second ?? 0));
      case "restart":
        return network.restart(id);
      case "forget":
        return network.loseMemory(id, Number(second));
      case "stream-lost":
        return network.step(id, { kind: "streamLost", nowMs, id: second ?? "" });
      case "unreachable":
        return network.step(id, { kind: "unreachable", id: second ?? "" });
      case "storage-failed":
        return network.step(id, { kind: "storageFailed", nowMs });
      case "checkpoint":
        return network.checkpoint(id, Number(second ?? 0), Number(third ?? Infinity));
      case "install":
        return network.install(id);
      case "leases":
        network.leasesExist = id === "on";
        return;
      case "pass":
        network.nowMs += Number(id);
        return;
      case "status":
        return this.#status(words);
      case "show":
        return this.#show(id);
      default:
        throw new Error(`no command "${verb}"`);
    }
  }

  #bootstrap(words: readonly string[]): void {
    const plus = words.indexOf("+");
    if (plus < 0) this.#network.bootstrap(words);
    else this.#network.bootstrap(words.slice(0, plus), words.slice(plus + 1));
  }

  #startWithLog(id: NodeId, words: readonly string[]): void {
    const terms = words.filter((word) => !word.includes("=")).map(Number);
    const term = Number(words.find((word) => word.startsWith("term="))?.slice(5) ?? terms.at(-1) ?? 1);
    const { membership } = this.#network.core(id).status;
    const first: Entry = { kind: "membership", term: 1, index: 1, clusterTime: 0, membership };
    const rest = terms.map((entryTerm, i): Entry => ({
      kind: "command",
      term: entryTerm,
      index: i + 2,
      clusterTime: 0,
      payload: text(`old ${i + 2}`),
    }));
    this.#network.add(id, [first, ...rest], { term, vote: null });
  }

  #tick(id: string, count: number): void {
    for (let i = 0; i < count; i += 1) {
      if (id === "all") this.#network.tickAll();
      else this.#network.tick(id);
    }
  }

  #deliver(words: readonly string[], isRepeated: boolean): void {
    const messages = this.#network.takeInFlight(filter(words));
    if (isRepeated) this.#network.inFlight.push(...messages);
    for (const message of messages) this.#network.deliver(message);
  }

  #drop(words: readonly string[]): void {
    const lost = this.#network
      .takeInFlight(filter(words))
      .map(({ from, to, type }) => `${from}→${to} ${type}`);
    const counts = new Map(lost.map((what) => [what, lost.filter((other) => other === what).length]));
    const shown = [...counts].map(([what, count]) => (count > 1 ? `${what} ×${count}` : what));
    if (shown.length > 0) this.#lines.push(`lost: ${shown.join(", ")}`);
  }

  #elect(id: NodeId): void {
    this.#telling("nothing", () => this.#network.elect(id));
    this.#lines.push(`${id} leads term ${this.#network.core(id).status.term}`);
  }

  #telling(told: "brief" | "nothing", action: () => void): void {
    this.#told = told;
    action();
    this.#told = "all";
  }

  #status(ids: readonly string[]): void {
    const shown = ids.length > 0 ? ids : [...this.#network.members.keys()];
    for (const id of shown) {
      if (this.#network.member(id).isUp) this.#lines.push(...describeStatus(this.#network.core(id).status));
      else this.#lines.push(`${id} is down`);
    }
  }

  #show(id: NodeId): void {
    const { core } = this.#network.member(id);
    for (let index = core.status.firstIndex; index <= core.status.lastIndex; index += 1) {
      const entry = core.entryAt(index);
      if (entry !== undefined) this.#lines.push(describeEntry(entry));
    }
  }
}

function filter(words: readonly string[]): (message: Message) => boolean {
  const wanted = words.map((word) => word.split("="));
  return (message) =>
    wanted.every(([key, value]) => (message as unknown as Record<string, string>)[key ?? ""] === value);
}

function changeOf([kind, id = ""]: readonly string[]): MembershipChange {
  if (kind === "addLearner") {
    const [member] = membershipOf([id]).members;
    return {
      kind,
      id,
      incarnation: incarnationOf(id),
      peerUrl: member?.peerUrl ?? "",
      clientUrl: member?.clientUrl ?? "",
    };
  }
  if (kind === "readdress")
    return {
      kind,
      id,
      incarnation: incarnationOf(id),
      peerUrl: `http://moved-${id}:7401`,
      clientUrl: `http://moved-${id}:7400`,
    };
  if (kind === "promote" || kind === "remove") return { kind, id };
  throw new Error(`no change "${kind}"`);
}
