import { expect, test } from "vitest";
import { fullJitter } from "../../src/client/backoff.ts";
import { Members } from "../../src/client/members.ts";
import { RetryBudget } from "../../src/client/retry-budget.ts";
import { HandClock } from "../support/hand-clock.ts";

const first = (): number => 0;

test.each([
  { failures: 1, random: 0.999, wait: 99.9 },
  { failures: 1, random: 0, wait: 0 },
  { failures: 3, random: 0.5, wait: 200 },
  { failures: 60, random: 0.5, wait: 1000 },
])("after $failures failures and a draw of $random the wait is $wait ms", ({ failures, random, wait }) => {
  expect(fullJitter(failures, { firstMs: 100, maxMs: 2000 }, () => random)).toBeCloseTo(wait);
});

test("a client stays with one member as long as it works", () => {
  const members = new Members(["http://a", "http://b/"], new HandClock(), first);
  expect(members.pick()).toBe("http://a");
  members.succeeded("http://a");
  expect(members.pick()).toBe("http://a");
});

test("a member that failed is left alone for a while, and longer each time", async () => {
  const clock = new HandClock();
  const members = new Members(["http://a", "http://b"], clock, first);
  members.failed("http://a");
  expect(members.pick()).toBe("http://b");
  members.failed("http://b");
  await clock.advance(500);
  members.failed("http://a");
  expect(members.pick(), "the second rest of a is longer, so b is back first").toBe("http://b");
});

test("when all members are resting, the one that rests the shortest is asked", async () => {
  const clock = new HandClock();
  const members = new Members(["http://a", "http://b", "http://c"], clock, first);
  members.failed("http://a");
  members.failed("http://b");
  members.failed("http://b");
  members.failed("http://c");
  expect(members.pick()).toBe("http://a");
});

test("clients with the same list begin at different members", () => {
  const begin = (draw: number): string =>
    new Members(["http://a", "http://b"], new HandClock(), () => draw).pick();
  expect([begin(0.1), begin(0.9)]).toEqual(["http://a", "http://b"]);
});

test.each([{ servers: [] }, { servers: ["n1:7401"] }, { servers: ["http://"] }])(
  "servers $servers are refused in one sentence",
  ({ servers }) => {
    expect(() => new Members(servers, new HandClock(), first)).toThrow(/^servers/);
  },
);

test("the budget lets a burst of retries pass, then no more than calls and time have earned", async () => {
  const clock = new HandClock();
  const budget = new RetryBudget(clock, { perCall: 0.5, perSecond: 1, max: 3 });
  const takeAll = (): number => {
    let taken = 0;
    while (budget.take()) taken += 1;
    return taken;
  };
  expect(takeAll()).toBe(3);
  budget.noteCall();
  expect(takeAll()).toBe(0);
  budget.noteCall();
  expect(takeAll()).toBe(1);
  await clock.advance(2000);
  expect(takeAll()).toBe(2);
  await clock.advance(1_000_000);
  expect(takeAll()).toBe(3);
});
