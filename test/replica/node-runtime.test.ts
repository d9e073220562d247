import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { loggerTo } from "../../src/observability/logger.ts";
import { monitorStalls } from "../../src/observability/stall-monitor.ts";
import { every, nodeScheduler } from "../../src/replica/node-runtime.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a timer's task waits for one round of the loop after it is due", () => {
  const ran: string[] = [];
  nodeScheduler.after(10, () => ran.push("timer"));
  setTimeout(() => setImmediate(() => ran.push("what had arrived")), 9);
  vi.advanceTimersByTime(9);
  vi.advanceTimersByTime(1);
  expect(ran).toEqual(["what had arrived"]);
  vi.advanceTimersByTime(1);
  expect(ran).toEqual(["what had arrived", "timer"]);
});

test("a task that is cancelled when it is due, but has not run, does not run", () => {
  const ran: string[] = [];
  const cancel = nodeScheduler.after(10, () => ran.push("timer"));
  setTimeout(() => setImmediate(cancel), 10);
  vi.advanceTimersByTime(9);
  cancel();
  vi.advanceTimersByTime(100);
  expect(ran).toEqual([]);
});

test("what is called every so often goes on until it is stopped", () => {
  let calls = 0;
  const stop = every(50, () => {
    calls += 1;
  });
  vi.advanceTimersByTime(1_000);
  expect(calls).toBeGreaterThanOrEqual(19);
  expect(calls).toBeLessThanOrEqual(20);
  const before = calls;
  stop();
  vi.advanceTimersByTime(1_000);
  expect(calls).toBe(before);
});

test("a process that stood still says for how long", () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const stop = monitorStalls(loggerTo(stream, { level: "info", fields: {} }));
  now.mockReturnValue(260);
  vi.advanceTimersByTime(250);
  expect(lines).toEqual([]);
  now.mockReturnValue(5_510);
  vi.advanceTimersByTime(250);
  expect(lines.join("")).toContain('"stoodStillMs":5000');
  stop();
});
