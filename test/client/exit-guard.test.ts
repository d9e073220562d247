import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { ExitGuard } from "../../src/client/exit-guard.ts";
import { Registry } from "../../src/client/registry.ts";
import { FakeRegistry } from "../support/fake-registry-server.ts";
import { HandClock, settle } from "../support/hand-clock.ts";

class FakeProcess extends EventEmitter {
  readonly pid = 42;
  readonly killed: string[] = [];

  kill(pid: number, signal: NodeJS.Signals): void {
    this.killed.push(`${pid} ${signal}, ${this.listenerCount(signal)} listeners`);
  }
}

test("on a signal all leave, and then the process ends by the same signal", async () => {
  const source = new FakeProcess();
  const guard = new ExitGuard(source, new HandClock());
  const left: string[] = [];
  guard.add(async () => void left.push("a"));
  guard.add(async () => void left.push("b"));
  source.emit("SIGTERM");
  await settle();
  expect(left).toEqual(["a", "b"]);
  expect(source.killed).toEqual(["42 SIGTERM, 0 listeners"]);
  expect(source.listenerCount("SIGINT")).toBe(0);
});

test("an application that listens itself decides when the process ends", async () => {
  const source = new FakeProcess();
  const guard = new ExitGuard(source, new HandClock());
  let hasLeft = false;
  guard.add(async () => void (hasLeft = true));
  source.on("SIGINT", () => {});
  source.emit("SIGINT");
  await settle();
  expect(hasLeft).toBe(true);
  expect(source.killed).toEqual([]);
  expect(source.listenerCount("SIGINT")).toBe(1);
});

test("a registry that does not answer holds up the end for 3 s at most", async () => {
  const clock = new HandClock();
  const source = new FakeProcess();
  const guard = new ExitGuard(source, clock);
  guard.add(() => new Promise(() => {}));
  source.emit("SIGTERM");
  source.emit("SIGTERM");
  await clock.advance(2_999);
  expect(source.killed).toEqual([]);
  await clock.advance(1);
  expect(source.killed).toHaveLength(1);
});

test("nobody listens to signals while nothing is registered", () => {
  const source = new FakeProcess();
  const guard = new ExitGuard(source, new HandClock());
  const leave = (): Promise<void> => Promise.resolve();
  guard.add(leave);
  guard.add(leave);
  expect(source.listenerCount("SIGTERM")).toBe(1);
  guard.remove(leave);
  expect(source.listenerCount("SIGTERM")).toBe(0);
});

test.each([
  { deregisterOnExit: undefined, listeners: 1, isListed: false },
  { deregisterOnExit: false, listeners: 0, isListed: true },
])("with deregisterOnExit: $deregisterOnExit there is $listeners listener", async (row) => {
  const fake = await FakeRegistry.start();
  const signals = new FakeProcess();
  const registry = new Registry({ servers: fake.urls, deregisterOnExit: row.deregisterOnExit }, { signals });
  await registry.register({ service: "echo", id: "e1", port: 80 });
  expect(signals.listenerCount("SIGTERM")).toBe(row.listeners);
  signals.emit("SIGTERM");
  await expect.poll(() => fake.get("echo", "e1") !== undefined).toBe(row.isListed);
  await expect.poll(() => signals.killed.length).toBe(row.listeners);
  await registry.close();
  await fake.close();
});
