/**
 * One client: asks for one thing at a time, at one member, until it knows the outcome or gives up, and tells the checkers what it was told.
 */

import { RollcallError } from "../../../src/lib/errors.ts";
import type { Command, CommandResult } from "../../../src/registry/commands.ts";
import type { Declaration, InstanceKey } from "../../../src/registry/model.ts";
import type { ReadOptions, RenewalResult } from "../../../src/replica/member.ts";
import type { WriteEnd } from "../../../src/replica/pending-write.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Checkers } from "../checkers/checkers.ts";
import type { Random } from "../random.ts";
import type { SimMember } from "../world/member.ts";
import type { CallEnd, Gateway } from "./gateway.ts";
import { isStable, type History } from "./history.ts";
import { lookAround } from "./look-around.ts";
import { labelsOf, oddService, type Workload, type WriteTask } from "./workload.ts";

const checker = "declaration";

export interface ClientOptions {
  readonly name: string;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly gateway: Gateway;
  readonly checkers: Checkers;
  readonly history: History;
  readonly workload: Workload;
  readonly members: () => readonly SimMember[];
  readonly thinkMs: number;
  readonly callTimeoutMs: number;
  /** Whether instances have tags and metadata that tell which write they come from. */
  readonly hasLabels: boolean;
  readonly clockJumpsMs: () => number;
  readonly violate: (checker: string, message: string) => void;
}

/** How long a client waits for the answer to a call that may take so long: a member's clock may be slow, and the way takes time as well. */
export function patienceMs(callTimeoutMs: number): number {
  return callTimeoutMs * 1.5 + 50;
}

/** A repeatable write whose fate is unknown is tried so often. */
const triesMax = 4;

export class Client {
  readonly #options: ClientOptions;
  readonly #random: Random;
  #member: SimMember;
  #calls = 0;
  #isStopped = false;
  /** The highest revision that this client has seen: what its reads with `minRevision` ask for. */
  #revision = 0;
  isIdle = true;
  /** When the write under way was first sent, and how far the clocks had jumped by then. */
  #firstSent = { sentMs: 0, jumpsMs: 0 };

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#random = options.random;
    this.#member = options.random.pick(options.members());
  }

  start(): void {
    this.#think();
  }

  /** Asks for nothing new. */
  stop(): void {
    this.#isStopped = true;
  }

  #think(): void {
    this.isIdle = true;
    this.#options.time.plan(this.#random.exponential(this.#options.thinkMs), () => {
      if (this.#isStopped) return;
      this.isIdle = false;
      this.#ask();
    });
  }

  #ask(): void {
    if (this.#random.chance(0.1)) this.#goElsewhere();
    this.#calls += 1;
    const task = this.#options.workload.next(this.#random, `${this.#options.name}.${this.#calls}`);
    switch (task.kind) {
      case "write":
        return this.#write(task, 0, this.#options.time.nowMs, false);
      case "renew":
        return this.#renew(task.key, task.incarnation);
      case "read":
        return this.#read(task.key, this.#readOptions(task.level));
    }
  }

  #goElsewhere(): void {
    this.#member = this.#random.pick(this.#options.members());
  }

  // ------------------------------------------------------------------ writes

  /** `mayBeApplied`: an attempt before this one may have taken effect. */
  #write(task: WriteTask, attempt: number, beganMs: number, mayBeApplied: boolean): void {
    const { checkers, callTimeoutMs, gateway, time } = this.#options;
    const name = `${task.name}/${attempt}`;
    const member = this.#member;
    // A repeat may get the result of the first attempt, and then renews nothing.
    if (attempt === 0) this.#firstSent = { sentMs: time.nowMs, jumpsMs: this.#options.clockJumpsMs() };
    // A member that stood still may answer when this client is at another write.
    const firstSent = this.#firstSent;
    checkers.outcomes.begun(name, isRepeatable(task));
    gateway.call<WriteEnd>(
      name,
      task.command.kind,
      member,
      patienceMs(callTimeoutMs),
      (answer) => {
        const options = { timeoutMs: callTimeoutMs, idempotencyKey: task.idempotencyKey, by: name };
        member.replica?.submit(task.command, options, (end) => {
          this.#writeEnded(name, member, end);
          this.#checkDeclared(name, task.command, end);
          if (end.kind === "result") noteLease(checkers, task.command, end.result, firstSent);
          answer(end);
        });
      },
      (end) => this.#writeReturned(task, attempt, beganMs, mayBeApplied, end),
    );
  }

  /** In the member's process, at the moment at which it answers. */
  #writeEnded(name: string, member: SimMember, end: WriteEnd): void {
    const { checkers } = this.#options;
    checkers.stepped(member);
    if (end.kind === "error") return checkers.outcomes.refused(name, end.error);
    const { result } = end;
    const index = checkers.outcomes.answered(name, result);
    if (member.appliedIndex < index)
      this.#options.violate(
        "read your writes",
        `${member.id} answered ${name} before it had applied entry ${index}`,
      );
  }

  /** A registration is answered with what was declared. */
  #checkDeclared(name: string, command: Command, end: WriteEnd): void {
    if (end.kind !== "result" || !end.result.ok || end.result.kind !== "register") return;
    if (command.kind !== "register" || !this.#options.hasLabels) return;
    const { declared } = end.result.instance;
    if (!isSameDeclaration(declared, command.declared))
      this.#options.violate(
        checker,
        `${name} declared ${JSON.stringify(command.declared)}, and was answered ${JSON.stringify(declared)}`,
      );
  }

  #writeReturned(
    task: WriteTask,
    attempt: number,
    beganMs: number,
    mayBeApplied: boolean,
    end: CallEnd<WriteEnd>,
  ): void {
    const { history, time, workload } = this.#options;
    const call = {
      client: this.#options.name,
      name: task.name,
      command: task.command,
      beganMs,
      endedMs: time.nowMs,
    };
    if (end.kind === "answer" && end.answer.kind === "result") {
      const { result } = end.answer;
      this.#noteRevision(result);
      workload.answered(task.command, result);
      history.wrote(call, result);
      return this.#think();
    }
    const isUnknown =
      end.kind === "broken" ||
      (end.kind === "answer" && end.answer.kind === "error" && end.answer.error.outcome === "unknown");
    const may = mayBeApplied || isUnknown;
    this.#goElsewhere();
    const isAgain = task.idempotencyKey !== null && attempt + 1 < triesMax && !this.#isStopped;
    if (isAgain) return this.#write(task, attempt + 1, beganMs, may);
    if (may) history.wrote(call, null);
    this.#think();
  }

  #noteRevision(result: CommandResult): void {
    if (result.ok && "revision" in result) this.#revision = Math.max(this.#revision, result.revision);
  }

  // ------------------------------------------------------------------ renewals

  #renew(key: InstanceKey, incarnation: number | null): void {
    const { checkers, callTimeoutMs, gateway, time } = this.#options;
    const member = this.#member;
    const sentMs = time.nowMs;
    const jumpsMs = this.#options.clockJumpsMs();
    const after = checkers.committed.lastIndex;
    const name = `${this.#options.name}.${this.#calls}`;
    gateway.call<RenewalResult>(
      name,
      "renew",
      member,
      patienceMs(callTimeoutMs),
      (answer) => {
        member.replica?.renew({ key, incarnation, status: null }, callTimeoutMs, (result) => {
          checkers.stepped(member);
          if (result.ok) {
            checkers.leases.checkRenewed(name, result.incarnation, after);
            checkers.leases.acknowledged(result.incarnation, sentMs, jumpsMs, result.ttlMs);
          }
          answer(result);
        });
      },
      (end) => {
        if (end.kind !== "answer" || !end.answer.ok) this.#goElsewhere();
        this.#think();
      },
    );
  }

  // ------------------------------------------------------------------ reads

  #readOptions(level: "local" | "linearizable" | "minRevision" | "maxStale"): ReadOptions {
    const { callTimeoutMs } = this.#options;
    return {
      consistency: level === "linearizable" ? "linearizable" : "local",
      minRevision: level === "minRevision" ? this.#revision : null,
      waitMs: callTimeoutMs,
      maxStaleMs: level === "maxStale" ? Math.round(callTimeoutMs / 2) : null,
    };
  }

  #read(key: InstanceKey, options: ReadOptions): void {
    const { checkers, gateway, time, history } = this.#options;
    const member = this.#member;
    const beganMs = time.nowMs;
    const floor = checkers.reads.asked(options, beganMs);
    gateway.call<{ readonly host: string | null } | RollcallError>(
      `${this.#options.name}.${this.#calls}`,
      options.consistency === "linearizable" ? "read!" : "read",
      member,
      patienceMs(options.waitMs),
      (answer) => {
        member.replica?.read(options, (error) => {
          checkers.stepped(member);
          if (error !== null) return answer(error);
          checkers.reads.allowed(member, floor, time.nowMs);
          if (member.replica !== null && this.#random.chance(0.05))
            lookAround(member.replica, key, this.#options.violate);
          const instance = member.replica?.registry.instance(key) ?? null;
          if (instance !== null) this.#checkLabels(member, key, instance.declared);
          answer({ host: instance?.declared.host ?? null });
        });
      },
      (end) => {
        const isRead = end.kind === "answer" && !(end.answer instanceof RollcallError);
        if (!isRead) this.#goElsewhere();
        else if (options.consistency === "linearizable") {
          const call = { client: this.#options.name, key, beganMs, endedMs: time.nowMs };
          history.read(call, (end.answer as { host: string | null }).host);
        }
        this.#think();
      },
    );
  }

  /** Host, tags and metadata of an instance come from the same write. */
  #checkLabels(member: SimMember, key: InstanceKey, declared: Declaration): void {
    if (!this.#options.hasLabels || !isStable(key)) return;
    if (textOf(declared) !== textOf(labelsOf(declared.host)))
      this.#options.violate(
        checker,
        `${member.id} tells ${JSON.stringify(declared)} of ${key.id}, which is no single write's`,
      );
  }
}

/** Compared as text, and not as the registry compares. */
function isSameDeclaration(one: Declaration, other: Declaration): boolean {
  return one.host === other.host && textOf(one) === textOf(other);
}

function textOf({ tags, metadata }: Pick<Declaration, "tags" | "metadata">): string {
  return JSON.stringify([tags, metadata]);
}

/** Whether doing it twice is the same as doing it once. */
function isRepeatable({ command, idempotencyKey }: WriteTask): boolean {
  return idempotencyKey !== null || (command.kind === "renewOne" && command.status === null);
}

/** What grants a lease, or a longer one. */
function noteLease(
  checkers: Checkers,
  command: Command,
  result: CommandResult,
  { sentMs, jumpsMs }: { readonly sentMs: number; readonly jumpsMs: number },
): void {
  // Where presence and protection shorten and lengthen leases, the plain rule does not hold.
  if (
    !result.ok ||
    command.kind !== "register" ||
    result.kind !== "register" ||
    command.service === oddService
  )
    return;
  checkers.leases.acknowledged(result.instance.incarnation, sentMs, jumpsMs, result.instance.declared.ttlMs);
}
