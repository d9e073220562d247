/**
 * Whether a history of calls to one key can be explained by calls that take effect one at a time, each between its beginning and its
 * end (Wing & Gong 1993, with Lowe's memory of configurations seen before, 2017).
 *
 * A call whose outcome nobody knows may take effect at any time after its beginning, or never.
 */

import type { Operation } from "./operation.ts";

export type Verdict =
  | { readonly kind: "linearizable" }
  /** `operation` is where the longest explanation ends. */
  | { readonly kind: "notLinearizable"; readonly operation: Operation }
  /** More configurations than may be remembered: nothing is known. */
  | { readonly kind: "undecided" };

/** A call or a return, in a doubly linked list by time, so that what has been explained can be lifted out and put back. */
interface Node {
  readonly position: number;
  readonly operation: Operation;
  /** Of a call: its return. Null for a return. */
  readonly returns: Node | null;
  previous: Node | null;
  next: Node | null;
}

/** How many configurations are remembered before the checker gives up. */
export const configurationsMax = 2_000_000;

type Value = string | null;

/** `initial`: the value before the first call. */
export function checkHistory(
  operations: readonly Operation[],
  initial: Value = null,
  limit: number = configurationsMax,
): Verdict {
  // A read of unknown outcome says nothing, and changes nothing.
  const known = operations.filter(({ input, output }) => input.kind !== "read" || output !== null);
  return new Search(known, initial, limit).run();
}

class Search {
  readonly #head: Node;
  readonly #count: number;
  readonly #mustEnd: number;
  /** One bit for each operation that has taken effect. */
  readonly #done: Uint32Array;
  readonly #seen = new Set<string>();
  readonly #limit: number;
  #value: Value;
  #ended = 0;
  #furthest = 0;
  #stuck: Operation | null = null;

  constructor(operations: readonly Operation[], initial: Value, limit: number) {
    this.#count = operations.length;
    this.#mustEnd = operations.filter((operation) => operation.endedMs < Infinity).length;
    this.#done = new Uint32Array(Math.ceil(operations.length / 32));
    this.#value = initial;
    this.#limit = limit;
    this.#head = linked(operations);
  }

  run(): Verdict {
    if (this.#count === 0) return { kind: "linearizable" };
    const path: { readonly call: Node; readonly before: Value }[] = [];
    let node = this.#head.next;
    while (this.#ended < this.#mustEnd) {
      if (node !== null && node.returns !== null) {
        const after = apply(node.operation, this.#value);
        if (after !== undefined && this.#isNew(node, after)) {
          if (this.#seen.size > this.#limit) return { kind: "undecided" };
          path.push({ call: node, before: this.#value });
          this.#take(node, after);
          node = this.#head.next;
        } else {
          node = node.next;
        }
        continue;
      }
      // A return of a call that has not taken effect, or the end: one of the choices before was wrong.
      if (node !== null) this.#note(node.operation);
      const last = path.pop();
      if (last === undefined) return { kind: "notLinearizable", operation: this.#stuck ?? node!.operation };
      this.#putBack(last.call, last.before);
      node = last.call.next;
    }
    return { kind: "linearizable" };
  }

  #isNew(call: Node, after: Value): boolean {
    const word = call.position >> 5;
    const bit = 1 << (call.position & 31);
    this.#done[word]! |= bit;
    const key = `${this.#done.join(",")} ${after ?? ""}`;
    this.#done[word]! &= ~bit;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }

  #take(call: Node, after: Value): void {
    this.#done[call.position >> 5]! |= 1 << (call.position & 31);
    this.#value = after;
    if (call.operation.endedMs < Infinity) this.#ended += 1;
    lift(call);
    lift(call.returns!);
  }

  #putBack(call: Node, before: Value): void {
    this.#done[call.position >> 5]! &= ~(1 << (call.position & 31));
    this.#value = before;
    if (call.operation.endedMs < Infinity) this.#ended -= 1;
    putBack(call.returns!);
    putBack(call);
  }

  #note(operation: Operation): void {
    if (this.#stuck !== null && this.#ended < this.#furthest) return;
    this.#furthest = this.#ended;
    this.#stuck = operation;
  }
}

/** The value after the operation took effect, or undefined when it could not have been answered as it was. */
function apply({ input, output }: Operation, value: Value): Value | undefined {
  switch (input.kind) {
    case "set":
      return output === "absent" ? undefined : input.value;
    case "change":
      return effect(output, value, input.value);
    case "remove":
      return effect(output, value, null);
    case "read":
      return typeof output === "object" && output !== null && output.value === value ? value : undefined;
  }
}

/** Of something that needs a value to be there. */
function effect(output: Operation["output"], value: Value, after: Value): Value | undefined {
  if (output === "done") return value === null ? undefined : after;
  if (output === "absent") return value === null ? null : undefined;
  return value === null ? null : after;
}

/** Calls and returns in order of time; at the same moment calls come first, so that they count as overlapping. */
function linked(operations: readonly Operation[]): Node {
  const ends: { readonly atMs: number; readonly isCall: boolean; readonly node: Node }[] = [];
  operations.forEach((operation, position) => {
    const returns: Node = { position, operation, returns: null, previous: null, next: null };
    const call: Node = { position, operation, returns, previous: null, next: null };
    ends.push({ atMs: operation.beganMs, isCall: true, node: call });
    ends.push({ atMs: operation.endedMs, isCall: false, node: returns });
  });
  ends.sort((a, b) => (a.atMs === b.atMs ? Number(b.isCall) - Number(a.isCall) : a.atMs - b.atMs));
  const head: Node = {
    position: -1,
    operation: ends[0]?.node.operation as Operation,
    returns: null,
    previous: null,
    next: null,
  };
  let last = head;
  for (const { node } of ends) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function lift(node: Node): void {
  node.previous!.next = node.next;
  if (node.next !== null) node.next.previous = node.previous;
}

function putBack(node: Node): void {
  node.previous!.next = node;
  if (node.next !== null) node.next.previous = node;
}
