import { expect, test } from "vitest";
import { AppliedWaiters } from "../../src/replica/applied-waiters.ts";

test("who waits for a value that is reached is answered at once, others when it is, or at their deadline", () => {
  const waiters = new AppliedWaiters(10);
  const ends: [string, boolean][] = [];
  const wait = (name: string, value: number, deadlineMs: number): void =>
    waiters.wait(value, deadlineMs, (reached) => ends.push([name, reached]));
  wait("reached", 10, 100);
  expect(ends).toEqual([["reached", true]]);
  wait("soon", 12, 100);
  wait("late", 20, 100);
  wait("other", 13, 200);
  waiters.advance(12);
  expect(ends.slice(1)).toEqual([["soon", true]]);
  waiters.expire(100);
  expect(ends.slice(2)).toEqual([["late", false]]);
  waiters.advance(11);
  waiters.advance(30);
  expect(ends.slice(3)).toEqual([["other", true]]);
  expect(waiters.size).toBe(0);
});

test("a member that stops answers everybody who still waits", () => {
  const waiters = new AppliedWaiters(0);
  const ends: boolean[] = [];
  waiters.wait(1, 100, (reached) => ends.push(reached));
  waiters.close();
  expect(ends).toEqual([false]);
});
