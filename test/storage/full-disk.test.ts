// A real disk that is really full: a small tmpfs, where this user may mount one.

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type { StateRecord, StorageFailure } from "../../src/replica/ports.ts";
import { NodeDiskRoom } from "../../src/storage/disk-room.ts";
import { openMemberStorage } from "../../src/storage/open-member.ts";
import { waitFor } from "../support/wait-for.ts";
import { anEntry, baseAt, membership } from "./machine.ts";

const root = fs.mkdtempSync(join(tmpdir(), "rollcall-full-"));
const dir = join(root, "data");
const megabyte = 1024 * 1024;

function mounted(): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", root], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function unmount(): void {
  execFileSync("umount", ["-l", root], { stdio: "ignore" });
}

const canMount = mounted();
if (canMount) unmount();

beforeEach(() => {
  if (canMount) mounted();
});

afterEach(() => {
  if (canMount) unmount();
});

afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

function ended(start: (done: (failure: StorageFailure | null) => void) => void): Promise<string> {
  return new Promise((resolve) => start((failure) => resolve(failure?.kind ?? "done")));
}

test.skipIf(!canMount)(
  "log and image stop at a full disk, go on once there is room, and lose nothing of either",
  async () => {
    const storage = await openMemberStorage({ dir, memberId: "n1" });
    await storage.join("c1", membership);
    const { log, state } = { log: must(storage.log, "a member"), state: must(storage.state, "a member") };
    let index = 1;
    const append = (bytes: number): Promise<string> =>
      ended((done) =>
        log.persist({ hardState: null, truncateAfter: null, entries: [anEntry(index + 1, 1, bytes)] }, done),
      );
    const written = new Map<string, unknown>();
    let pending: StateRecord[] = [];
    const writeImage = async (key: string, text: string): Promise<string> => {
      pending = [...pending.filter(([other]) => other !== key), [key, text]];
      const puts = pending;
      const result = await ended((done) =>
        state.write({ puts, deletes: [], base: baseAt(index, 1), sync: true }, done),
      );
      if (result === "done") {
        for (const [name, value] of puts) written.set(name, value);
        pending = [];
      }
      return result;
    };
    expect(await append(100)).toBe("done");
    index += 1;
    expect(await writeImage("a", "before")).toBe("done");

    const ballast = join(root, "ballast");
    const fill = (): void => {
      const file = fs.openSync(ballast, "a");
      try {
        for (;;) fs.writeSync(file, Buffer.alloc(4096));
      } catch {
        fs.closeSync(file);
      }
    };
    for (let round = 0; round < 3; round += 1) {
      fill();
      expect(await append(200_000)).toBe("full");
      expect(await writeImage(`round-${round}`, "x".repeat(100_000))).toBe("full");
      expect(await writeImage("b", `of round ${round}`)).toBe("full");
      fs.rmSync(ballast);
      expect(await append(2_000)).toBe("done");
      index += 1;
      expect(await writeImage("c", `after round ${round}`)).toBe("done");
    }
    await storage.close();

    const again = await openMemberStorage({ dir, memberId: "n1" });
    const { boot, image } = must(again.recovered, "a member");
    expect(boot.entries.at(-1)?.index).toBe(index);
    expect(boot.recovering).toBe(false);
    expect(new Map(image.records)).toEqual(written);
    expect(written.size).toBe(6);
    await again.close();
  },
);

test.skipIf(!canMount)("the reserve takes room, gives it back, and is there again afterwards", async () => {
  fs.mkdirSync(dir);
  const room = new NodeDiskRoom(dir, 2 * megabyte);
  const free = (): Promise<number | null> => new Promise((resolve) => room.look(resolve));
  const before = must(await free(), "room");
  room.restoreReserve();
  await waitFor(async () => ((await free()) ?? before) <= before - 2 * megabyte, { what: "it is set aside" });
  room.restoreReserve();
  room.releaseReserve();
  await waitFor(async () => (await free()) === before, { what: "it is given back" });
  // There is not room for it: it leaves nothing behind.
  fs.writeFileSync(join(root, "ballast"), Buffer.alloc(7 * megabyte));
  room.restoreReserve();
  await waitFor(() => !fs.existsSync(join(dir, "reserve")), { what: "what could not be set aside is gone" });
  expect(await free()).toBeGreaterThan(0);
});
