// The power goes at every sync and every change of a name on real files, LevelDB's included: what was acknowledged is there, and nothing is
// half there. test/storage/crash-points.test.ts does it on a disk in memory, at every single operation.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileShim, PowerSupply } from "../../scripts/lib/torture/power.ts";
import { must } from "../../src/raft/assert.ts";
import { backupBytes, backupFormat } from "../../src/replica/backup.ts";
import type { ImageSource, StateRecord, StateStore } from "../../src/replica/ports.ts";
import { Registry } from "../../src/registry/registry.ts";
import { readBackup } from "../../src/storage/backup-file.ts";
import { foundCluster } from "../../src/storage/new-cluster.ts";
import { openMemberStorage } from "../../src/storage/open-member.ts";
import { saveBackup } from "../../src/storage/save-backup.ts";
import { readSurvivor } from "../../src/storage/survivors.ts";
import { baseAt, membership } from "../storage/machine.ts";
import { register } from "../support/commands.ts";
import { hasCompiler } from "../support/has-compiler.ts";
import { seededRandom } from "../support/random.ts";
import { memberLimits, memberSteps, partsOf, type Step } from "../support/real-history.ts";

const history = fileURLToPath(new URL("../support/real-history.ts", import.meta.url));

/** Each point takes a process, so a run takes one in so many; EVERY=1 takes all. */
const every = Number(process.env["EVERY"] ?? 9);
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const minutes = 60_000;

let root = "";
let shim = "";

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "rollcall-points-"));
  if (hasCompiler()) shim = compileShim(root);
});

afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

interface Crash {
  readonly point: number;
  /** The steps that were acknowledged. */
  readonly told: readonly string[];
  readonly isOver: boolean;
  /** Holds `data`, as the power loss has left it. */
  readonly box: string;
}

/** Runs the history up to a point, and lets the power go there. */
function crashAt(point: number, kind: string, given: string): Crash {
  const box = join(root, `box-${point}`);
  fs.mkdirSync(box);
  const power = new PowerSupply(box);
  const env = { ...process.env, ...power.environment(shim, "none"), POWER_SHIM_KILL_AFTER: String(point) };
  const args = ["--disable-warning=ExperimentalWarning", history, kind, join(box, "data"), given];
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, args, { env });
  expect(status === 0 || signal === "SIGKILL", stderr.toString()).toBe(true);
  power.cut(seededRandom(seed + point));
  const told = stdout.toString().split("\n").slice(0, -1);
  return { point, told, isOver: status === 0, box };
}

interface Enumeration {
  readonly points: number;
  readonly faults: readonly string[];
}

/** One point in `every`, until the history is over. `faultOf` says what is wrong with what a crash has left. */
async function crashEverywhere(
  kind: string,
  given: string,
  faultOf: (crash: Crash) => Promise<string | null>,
  stride = every,
): Promise<Enumeration> {
  const faults: string[] = [];
  for (let point = 1 + (seed % stride); ; point += stride) {
    const crash = crashAt(point, kind, given);
    const fault = await faultOf(crash);
    const where = `SEED=${seed} EVERY=${stride}, at ${point}, after ${crash.told.at(-1) ?? "nothing"}`;
    if (fault !== null) faults.push(`${where}: ${fault}`);
    fs.rmSync(crash.box, { recursive: true });
    if (crash.isOver) return { points: point, faults };
  }
}

test.skipIf(!hasCompiler())(
  "a member's folder holds what was acknowledged wherever the power goes, and the member goes on",
  { timeout: 10 * minutes },
  async () => {
    const chunks = await chunksOfAnother();
    const file = join(root, "chunks");
    fs.writeFileSync(file, JSON.stringify(chunks.map((chunk) => Buffer.from(chunk).toString("base64"))));
    const steps = memberSteps(chunks);
    const { points, faults } = await crashEverywhere("member", file, (crash) => memberFault(crash, steps));
    expect(faults).toEqual([]);
    expect(points).toBeGreaterThan(50);
  },
);

test.skipIf(!hasCompiler())(
  "a restored cluster is there as a whole or not at all, wherever the power goes",
  { timeout: 10 * minutes },
  async () => {
    const records = recordsOf(300);
    const file = join(root, "records");
    fs.writeFileSync(file, JSON.stringify(records));
    const { points, faults } = await crashEverywhere("found", file, (crash) => foundingFault(crash, records));
    expect(faults).toEqual([]);
    expect(points).toBeGreaterThan(20);
  },
);

test.skipIf(!hasCompiler())(
  "a backup has its name only when it can be restored, wherever the power goes, and can be saved again where it has not",
  { timeout: 10 * minutes },
  async () => {
    const bytes = await backupOf(recordsOf(300));
    const file = join(root, "bytes");
    fs.writeFileSync(file, bytes);
    const { points, faults } = await crashEverywhere("backup", file, (crash) => backupFault(crash, bytes), 1);
    expect(faults).toEqual([]);
    expect(points).toBeGreaterThan(4);
  },
);

async function memberFault({ told, box }: Crash, steps: readonly Step[]): Promise<string | null> {
  const storage = await openMemberStorage({ dir: join(box, "data"), memberId: "n1", limits: memberLimits });
  const { identity, recovered, report } = storage;
  await storage.close();
  const acknowledged = told.length;
  const [before, next] = [steps[acknowledged - 1], steps[acknowledged]];
  if (acknowledged >= 1 && identity.promisedClusterId !== "c1" && identity.clusterId !== "c1")
    return "it has forgotten its promise";
  if (recovered === null) return acknowledged >= 2 ? "it has forgotten its cluster" : null;
  if (report.recovering !== null) return `it is recovering: ${report.recovering}`;
  // The founding entry may be there before the founding has ended.
  const allowed = [before?.last ?? 0, next?.last ?? 0, ...(acknowledged < 2 ? [0, 1] : [])];
  if (!allowed.includes(report.lastIndex)) return `its log ends at ${report.lastIndex}`;
  if (report.appliedIndex < (before?.image ?? 0)) return `its image is at ${report.appliedIndex}`;
  const applied = new Map(recovered.image.records).get("applied") ?? 0;
  return applied === report.appliedIndex
    ? null
    : `its image at ${report.appliedIndex} holds ${JSON.stringify(applied)}`;
}

/** Where nothing is there yet, the same has to be possible again. */
async function foundingFault({ told, box }: Crash, records: readonly StateRecord[]): Promise<string | null> {
  const dir = join(box, "data");
  if (!fs.existsSync(dir)) {
    if (told.length > 0) return "it is gone";
    const member = { id: "m1", peerUrl: "http://peer", clientUrl: "http://client" };
    await foundCluster({ dir, member, records });
  }
  const { damage, state } = await readSurvivor(dir);
  const left = fs.readdirSync(box).join(" ");
  if (damage.length > 0) return damage.join("; ");
  if (state?.instances !== 300 || state.revision !== 2 ** 40) return `it holds ${JSON.stringify(state)}`;
  return left === "data" ? null : `beside it are ${left}`;
}

/** What has not been named yet is whole or refused; and nobody needs it to be gone. */
async function backupFault({ told, box }: Crash, bytes: Buffer): Promise<string | null> {
  const file = join(box, "data");
  const unfinished = `${file}.unfinished`;
  if (!fs.existsSync(file)) {
    if (told.length > 0) return "it is gone";
    const said = await refusalOf(unfinished);
    if (said !== null && !/Use another copy of it|cannot be read/.test(said)) return said;
    await saveBackup(partsOf(bytes), file);
  }
  const { size } = await readBackup(file);
  if (size.instances !== 300) return `it holds ${size.instances} instances`;
  const { instances } = await foundCluster({
    dir: join(box, "restored"),
    member: { id: "m1", peerUrl: "http://peer", clientUrl: "http://client" },
    records: (await readBackup(file)).records,
  });
  return instances === 300 ? null : `${instances} instances were restored`;
}

/** Null for a backup that is whole. */
function refusalOf(file: string): Promise<string | null> {
  return readBackup(file).then(
    () => null,
    (error: Error) => error.message,
  );
}

async function backupOf(records: readonly StateRecord[]): Promise<Buffer> {
  const storage = await openMemberStorage({ dir: join(root, "saved"), memberId: "n1" });
  await storage.join("c1", membership);
  const source = await imageWith(must(storage.state, "a member"), records, 2);
  const header = { format: backupFormat, clusterId: "c1", member: "n1", index: 2, term: 1, version: "0.0.0" };
  const parts: Uint8Array[] = [];
  for await (const part of backupBytes(source, header)) parts.push(part);
  await storage.close();
  return Buffer.concat(parts);
}

function recordsOf(count: number): readonly StateRecord[] {
  const registry = new Registry();
  for (let i = 0; i < count; i += 1) {
    const command = register(`a${i}`);
    const envelopes = [{ command, member: "n1", at: 0, idempotencyKey: null, by: null }];
    registry.apply({ version: 1, envelopes }, 1_000);
  }
  return [...registry.takeChanges().puts];
}

/** The image of a member that is further, as it would send it. */
async function chunksOfAnother(): Promise<readonly Uint8Array[]> {
  const storage = await openMemberStorage({ dir: join(root, "other"), memberId: "n2" });
  await storage.join("c1", membership);
  const puts = [
    ["applied", 60],
    ["large", "x".repeat(600_000)],
  ] as const;
  const source = await imageWith(must(storage.state, "a member"), puts, 60);
  const read = (position: number): Promise<Uint8Array | null> =>
    new Promise((resolve) => source.read(position, (_failure, chunk) => resolve(chunk)));
  const chunks: Uint8Array[] = [];
  for (let chunk = await read(0); chunk !== null; chunk = await read(chunks.length)) chunks.push(chunk);
  source.close();
  await storage.close();
  return chunks;
}

/** Writes the image of a position, and opens it. */
async function imageWith(
  state: StateStore,
  puts: readonly StateRecord[],
  index: number,
): Promise<ImageSource> {
  await new Promise<void>((resolve, reject) => {
    state.write({ puts, deletes: [], base: baseAt(index, 3), sync: true }, (failure) =>
      failure === null ? resolve() : reject(new Error(failure.message)),
    );
  });
  return new Promise((resolve) => {
    state.openImage((_failure, opened) => resolve(must(opened, "an image")));
  });
}
