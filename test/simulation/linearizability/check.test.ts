import { expect, test } from "vitest";
import { checkHistory } from "./check.ts";
import type { Input, Operation, Output } from "./operation.ts";

const at = (beganMs: number, endedMs: number, input: Input, output: Output): Operation => ({
  client: "c",
  beganMs,
  endedMs,
  input,
  output,
});
const set = (value: string): Input => ({ kind: "set", value });
const change = (value: string): Input => ({ kind: "change", value });
const remove: Input = { kind: "remove" };
const read: Input = { kind: "read" };
const saw = (value: string | null): Output => ({ value });

const good: readonly (readonly [name: string, history: readonly Operation[]])[] = [
  ["nothing", []],
  ["a read of the initial value", [at(0, 1, read, saw(null))]],
  ["a write, then a read", [at(0, 1, set("a"), "done"), at(2, 3, read, saw("a"))]],
  ["a read during a write sees the old value", [at(0, 5, set("a"), "done"), at(1, 2, read, saw(null))]],
  ["a read during a write sees the new value", [at(0, 5, set("a"), "done"), at(1, 2, read, saw("a"))]],
  [
    "two writes at once, read in either order",
    [at(0, 9, set("a"), "done"), at(0, 9, set("b"), "done"), at(10, 11, read, saw("a"))],
  ],
  [
    "an unknown write that took effect much later",
    [at(0, Infinity, set("a"), null), at(5, 6, read, saw(null)), at(7, 8, read, saw("a"))],
  ],
  ["an unknown write that never took effect", [at(0, Infinity, set("a"), null), at(5, 6, read, saw(null))]],
  [
    "an unknown removal between two reads",
    [
      at(0, 1, set("a"), "done"),
      at(2, Infinity, remove, null),
      at(3, 4, read, saw("a")),
      at(5, 6, read, saw(null)),
    ],
  ],
  ["a change of what is not there", [at(0, 1, change("a"), "absent"), at(2, 3, read, saw(null))]],
  [
    "a removal that another one came before",
    [at(0, 1, set("a"), "done"), at(2, 9, remove, "done"), at(2, 9, remove, "absent")],
  ],
  ["a read whose answer nobody knows", [at(0, 1, set("a"), "done"), at(2, Infinity, read, null)]],
];

const bad: readonly (readonly [name: string, history: readonly Operation[]])[] = [
  ["a stale read", [at(0, 1, set("a"), "done"), at(2, 3, set("b"), "done"), at(4, 5, read, saw("a"))]],
  ["a lost write", [at(0, 1, set("a"), "done"), at(2, 3, read, saw(null))]],
  ["a value from nowhere", [at(0, 1, read, saw("x"))]],
  ["a value from the future", [at(0, 1, read, saw("a")), at(2, 3, set("a"), "done")]],
  [
    "two reads that go back in time",
    [at(0, 9, set("a"), "done"), at(1, 2, read, saw("a")), at(3, 4, read, saw(null))],
  ],
  [
    "two reads that disagree on the order of two writes",
    [
      at(0, 1, set("a"), "done"),
      at(0, 1, set("b"), "done"),
      at(2, 3, read, saw("a")),
      at(4, 5, read, saw("b")),
    ],
  ],
  [
    "an unknown write that takes effect twice",
    [
      at(0, Infinity, set("a"), null),
      at(1, 2, read, saw("a")),
      at(3, 4, set("b"), "done"),
      at(5, 6, read, saw("a")),
    ],
  ],
  ["a removal of what is not there", [at(0, 1, remove, "done")]],
  [
    "two removals of the same",
    [at(0, 1, set("a"), "done"), at(2, 9, remove, "done"), at(2, 9, remove, "done")],
  ],
  [
    "a change that found nothing although something was there",
    [at(0, 1, set("a"), "done"), at(2, 3, change("b"), "absent")],
  ],
  [
    "an unknown write seen before it was asked for",
    [at(0, 1, read, saw("a")), at(2, Infinity, set("a"), null)],
  ],
];

test.each(good)("linearizable: %s", (_name, history) => {
  expect(checkHistory(history)).toEqual({ kind: "linearizable" });
});

test.each(bad)("not linearizable: %s", (_name, history) => {
  expect(checkHistory(history)).toMatchObject({ kind: "notLinearizable" });
});

test("what is found does not depend on the order in which the history lists its operations", () => {
  for (const [, history] of bad)
    expect(checkHistory(history.toReversed())).toMatchObject({ kind: "notLinearizable" });
  for (const [, history] of good)
    expect(checkHistory(history.toReversed())).toEqual({ kind: "linearizable" });
});

test("it gives up, and says so, when there is more to remember than it may", () => {
  const history = Array.from({ length: 12 }, (_, i) => at(0, 100, set(`v${i}`), "done"));
  expect(checkHistory([...history, at(101, 102, read, saw("nowhere"))], null, 50)).toEqual({
    kind: "undecided",
  });
});

test("long histories of a busy key are decided quickly", () => {
  const history: Operation[] = [];
  for (let i = 0; i < 2000; i += 1) {
    history.push(at(i * 10, i * 10 + 15, set(`v${i}`), "done"));
    history.push(at(i * 10 + 16, i * 10 + 19, read, saw(`v${i}`)));
  }
  expect(checkHistory(history)).toEqual({ kind: "linearizable" });
});
