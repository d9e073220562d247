// A short run of each torture: that nothing is lost, and that a disk which lies about its syncs is found out.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { hasCompiler } from "../support/has-compiler.ts";
import { parents } from "../support/process-table.ts";
import { waitFor } from "../support/wait-for.ts";

const script = fileURLToPath(new URL("../../scripts/lib/torture/main.ts", import.meta.url));

/** What is planted shows at the first harm mostly, and ends the run; where chance has it, not before the next ones. */
const untilFound = 12;

function torture(
  kind: string,
  count: number,
  ...more: readonly string[]
): Promise<{ readonly status: unknown; readonly said: string }> {
  const args = ["--disable-warning=ExperimentalWarning", script, kind, "--count", String(count), ...more];
  return new Promise((resolve) => {
    const run = execFile(process.execPath, args, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : error.code, said: stdout + stderr });
    });
    onTestFinished(() => void run.kill("SIGTERM"));
  });
}

test("members that are killed lose nothing", async () => {
  const { status, said } = await torture("kill", 4);
  expect(status, said).toBe(0);
  expect(said).toMatch(/ 0 lost, 0 wrong/);
});

test("members that cannot reach each other, or stand still, serve nothing wrong", async () => {
  const { status, said } = await torture("network", 6);
  expect(status, said).toBe(0);
  expect(said).toMatch(/6 done, 6 noticed, 6 healed, 0 lost, 0 wrong/);
  expect(said).toMatch(/leases: [1-9]\d* renewals acknowledged, [1-9]\d* found/);
});

test("a run that is told to end leaves no member behind, even one that stands still", async () => {
  const run = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", script, "kill"], {
    stdio: "ignore",
  });
  const ended = once(run, "exit");
  const members = await waitFor(
    () => {
      const children = [...parents()].filter(([, parent]) => parent === run.pid);
      return children.length === 3 ? children.map(([pid]) => pid) : null;
    },
    { what: "three members run", withinMs: 40_000 },
  );
  process.kill(members[0] ?? 0, "SIGSTOP");
  run.kill("SIGTERM");
  expect(await ended).toEqual([143, null]);
  await waitFor(() => !members.some((pid) => parents().has(pid)), { what: "the members are gone" });
});

test("a leader that answers reads without asking anybody is found out when it wakes up alone", async () => {
  const bug = "a leader answers reads without asking anybody";
  const harm = ["--only", "wakes up alone", "--mutant", bug];
  const { status, said } = await torture("network", untilFound, ...harm);
  expect(status, said).toBe(0);
  expect(said).not.toMatch(/ 0 wrong/);
});

test("an injured member heals, and serves nothing wrong", async () => {
  const { status, said } = await torture("injuries", 2);
  expect(status, said).toBe(0);
  expect(said).toMatch(/2 done, 2 noticed, 2 healed, 0 lost, 0 wrong/);
});

test.skipIf(!hasCompiler())("a loss of power takes only what was never acknowledged", async () => {
  const { status, said } = await torture("power", 4);
  expect(status, said).toBe(0);
  expect(said).toMatch(/that took unsynced bytes away/);
  expect(said).toMatch(/that took unsynced names away/);
  expect(said).toMatch(/ 0 lost, 0 wrong/);
});

test.skipIf(!hasCompiler()).each([
  ["ignores syncs", "power-control"],
  ["ignores syncs of folders", "name-control"],
])("a disk that %s is found out", async (_, kind) => {
  const { status, said } = await torture(kind, untilFound);
  expect(status, said).toBe(0);
  expect(said).not.toMatch(/ 0 lost/);
});

test.skipIf(!hasCompiler())(
  "a member whose disk answers EIO says so, ends when told to, and comes back",
  async () => {
    const { status, said } = await torture("broken", 2);
    expect(status, said).toBe(0);
    expect(said).toMatch(/2 done, 2 noticed, 2 healed, 0 lost, 0 wrong/);
    expect(said).not.toMatch(/status (?!0)/);
  },
);
