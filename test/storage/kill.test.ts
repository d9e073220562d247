// Kills a process that writes, at random moments, and looks for what it had been told was durable.

import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import { openMemberStorage } from "../../src/storage/open-member.ts";
import { seededRandom } from "../support/random.ts";

const rounds = 5;

/** Goes on where the log ends, in small segments, and prints each index once it is durable. */
const program = (dir: string): string => `
  import { openMemberStorage } from ${JSON.stringify(new URL("../../src/storage/open-member.ts", import.meta.url).href)};
  const limits = { segmentBytesMax: 5000 };
  const storage = await openMemberStorage({ dir: ${JSON.stringify(dir)}, memberId: "n1", limits });
  if (storage.log === null) {
    const member = { id: "n1", incarnation: "i", peerUrl: "http://a", clientUrl: "http://b" };
    await storage.join("c1", { voters: ["n1"], outgoing: [], learners: [], members: [member] });
  }
  let index = storage.recovered.boot.entries.at(-1).index;
  const next = () => {
    index += 1;
    const mine = index;
    const entry = { kind: "command", term: 1, index, clusterTime: index, payload: new Uint8Array(50).fill(index) };
    storage.log.persist({ hardState: null, truncateAfter: null, entries: [entry] }, (failure) => {
      if (failure !== null) throw new Error(failure.message);
      process.stdout.write(mine + "\\n");
      next();
    });
  };
  next();
  next();`;

test("what was durable is there after kill -9, round after round", async () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 100_000);
  const random = seededRandom(seed);
  const root = fs.mkdtempSync(join(tmpdir(), "rollcall-kill-"));
  const dir = join(root, "data");
  try {
    for (let round = 0; round < rounds; round += 1) {
      const acknowledged = await writeUntilKilled(dir, 1 + Math.floor(random() * 300));
      const storage = await openMemberStorage({ dir, memberId: "n1" });
      const { boot } = must(storage.recovered, "a member");
      const where = `replay: SEED=${seed} npm run unit -- kill (round ${round})`;
      expect(boot.recovering, `at ${where}`).toBe(false);
      expect(boot.entries.length, `at ${where}`).toBeGreaterThanOrEqual(acknowledged);
      const wrong = boot.entries.find(
        (entry) => entry.kind === "command" && entry.payload[7] !== entry.index % 256,
      );
      expect(wrong, `at ${where}`).toBe(undefined);
      await storage.close();
    }
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
});

/** The last index that the process has been told was durable. */
async function writeUntilKilled(dir: string, writes: number): Promise<number> {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program(dir)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  let last = 0;
  let count = 0;
  for await (const line of createInterface(child.stdout)) {
    last = Number(line);
    count += 1;
    if (count === writes) child.kill("SIGKILL");
  }
  await exit;
  expect(count).toBeGreaterThanOrEqual(writes);
  return last;
}
