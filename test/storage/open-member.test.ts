// The same on real files, with LevelDB: what a start finds, whom it refuses, and what a damaged image does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import type { LogWrite, StateBatch, StateImage, StorageFailure } from "../../src/replica/ports.ts";
import { makeDurablePath } from "../../src/storage/durable-path.ts";
import { inspectFolder } from "../../src/storage/inspect.ts";
import { openMemberStorage, type OpenedStorage } from "../../src/storage/open-member.ts";
import { StorageRefusal } from "../../src/storage/refusal.ts";
import { giveBackMemory } from "../../src/observability/give-back-memory.ts";
import { seededRandom } from "../support/random.ts";
import { waitFor } from "../support/wait-for.ts";
import { anEntry, baseAt, entriesFrom, membership, plainEntry } from "./machine.ts";

let dir = "";

beforeEach(() => {
  dir = join(fs.mkdtempSync(join(tmpdir(), "rollcall-storage-")), "data");
});

afterEach(() => {
  fs.rmSync(join(dir, ".."), { recursive: true, force: true });
});

function open(memberId = "n1"): Promise<OpenedStorage> {
  return openMemberStorage({ dir, memberId });
}

async function founded(): Promise<OpenedStorage> {
  const storage = await open();
  await storage.join("c1", membership);
  return storage;
}

function ended(start: (done: (failure: StorageFailure | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((failure) => (failure === null ? resolve() : reject(new Error(failure.message))));
  });
}

function persist(storage: OpenedStorage, change: Partial<LogWrite>): Promise<void> {
  const write = { hardState: null, truncateAfter: null, entries: [], ...change };
  return ended((done) => must(storage.log, "a member").persist(write, done));
}

function writeImage(storage: OpenedStorage, batch: Partial<StateBatch>): Promise<void> {
  const whole = { puts: [], deletes: [], base: baseAt(1, 1), sync: true, ...batch };
  return ended((done) => must(storage.state, "a member").write(whole, done));
}

test("an empty folder becomes a member of a cluster once, and keeps its incarnation", async () => {
  const first = await open();
  expect(first.recovered).toBe(null);
  expect(first.read()).toMatchObject({ clusterId: null, promisedClusterId: null });
  await first.savePromise("c1");
  await first.close();

  const second = await open();
  expect(second.read()).toEqual({ ...first.read(), promisedClusterId: "c1" });
  await second.join("c1", membership);
  expect(second.recovered?.boot.entries).toHaveLength(1);
  await second.close();

  const third = await open();
  expect(third.read()).toMatchObject({ clusterId: "c1", incarnation: first.read().incarnation });
  expect(third.recovered?.boot).toMatchObject({ hardState: { term: 1, vote: null }, recovering: false });
  await third.close();
});

test("a member that joins a running cluster begins with an empty log", async () => {
  const storage = await open();
  await storage.join("c1", null);
  await storage.close();
  const again = await open();
  expect(again.recovered?.boot).toMatchObject({
    hardState: { term: 0, vote: null },
    entries: [],
    recovering: false,
  });
  await again.close();
});

test("log and image survive a restart, and the report says what was found", async () => {
  const storage = await founded();
  await persist(storage, { hardState: { term: 2, vote: "n1" }, entries: entriesFrom(2, 2_000, 2) });
  const puts = Array.from(
    { length: 3_000 },
    (_, i) => [`instance/default/web/${i}`, [i, "10.0.0.1", null]] as const,
  );
  await writeImage(storage, { puts, base: baseAt(1_500, 2) });
  await writeImage(storage, {
    puts: [["z", 1]],
    deletes: ["instance/default/web/7"],
    base: baseAt(1_501, 2),
    sync: false,
  });
  await storage.close();

  const again = await open();
  expect(again.report).toMatchObject({
    records: 3_000,
    appliedIndex: 1_501,
    lastIndex: 2_001,
    entries: 2_001,
    segments: 1,
    damage: [],
    recovering: null,
  });
  const { boot, image } = must(again.recovered, "a member");
  expect(boot.entries.slice(1).map(plainEntry)).toEqual(entriesFrom(2, 2_000, 2).map(plainEntry));
  expect(new Map(image.records).get("instance/default/web/8")).toEqual([8, "10.0.0.1", null]);
  expect(new Map(image.records).has("instance/default/web/7")).toBe(false);
  await again.close();
});

test("what a start has read is garbage once the member has taken it, though the folder stays open", async () => {
  const storage = await founded();
  await persist(storage, { entries: entriesFrom(2, 100, 1) });
  await writeImage(storage, { puts: [["instance/default/web/1", [1]]], base: baseAt(50, 1) });
  await storage.close();

  const again = await open();
  const read = readBy(again);
  again.forgetRecovered();
  const left = await waitFor(
    () => {
      giveBackMemory(0);
      const present = read.filter((one) => one.deref() !== undefined);
      return present.length === 0 && present;
    },
    { what: "image and entries are garbage" },
  );
  expect(left).toEqual([]);
  await again.close();
});

/** In a function of its own, so that nothing else here holds it. */
function readBy(storage: OpenedStorage): readonly WeakRef<object>[] {
  const { boot, image } = must(storage.recovered, "a member");
  return [image.records, must(boot.entries.at(-1), "the newest entry")].map((one) => new WeakRef(one));
}

test("a torn end of the log is cut, and the log goes on there", async () => {
  const storage = await founded();
  await persist(storage, { entries: entriesFrom(2, 3, 1) });
  await storage.close();
  const segment = join(dir, "wal/0000000001.wal");
  const whole = fs.statSync(segment).size;
  fs.appendFileSync(segment, "half a group");

  const again = await open();
  expect(again.report).toMatchObject({ tornBytes: 12, damage: [], recovering: null });
  expect(fs.statSync(segment).size).toBe(whole);
  await persist(again, { entries: [anEntry(5, 1)] });
  await again.close();
  const last = await open();
  expect(last.report).toMatchObject({ tornBytes: 0, entries: 5 });
  await last.close();
});

test("files are for their owner only", async () => {
  const storage = await founded();
  await persist(storage, { entries: entriesFrom(2, 3, 1) });
  await storage.close();
  for (const file of ["floor", "identity.json", "wal/0000000001.wal"])
    expect(fs.statSync(join(dir, file)).mode & 0o777, `mode of ${file}`).toBe(0o600);
  for (const folder of [".", "wal", "lock", "state.1"])
    expect(fs.statSync(join(dir, folder)).mode & 0o777, `mode of ${folder}`).toBe(0o700);
});

test("the data of another member is refused in one sentence", async () => {
  await (await founded()).close();
  await expect(open("n2")).rejects.toThrow(StorageRefusal);
  await expect(open("n2")).rejects.toThrow("belongs to member n1 (identity.json) and cannot be opened by n2");
  // Also by what the log alone says.
  fs.rmSync(join(dir, "identity.json"));
  await expect(open("n2")).rejects.toThrow("belongs to member n1 (wal)");
});

test("files of two clusters in one folder are refused", async () => {
  await (await founded()).close();
  const other = { dir: `${dir}-2`, memberId: "n1" };
  const second = await openMemberStorage(other);
  await second.join("c2", membership);
  await second.close();
  fs.copyFileSync(join(other.dir, "identity.json"), join(dir, "identity.json"));
  await expect(open()).rejects.toThrow(/mixes files of two members' lives/);
});

test("a folder of a newer format is refused, and not touched", async () => {
  await (await founded()).close();
  const path = join(dir, "identity.json");
  const text = fs.readFileSync(path, "utf8").replace('"formatVersion": 1', '"formatVersion": 2');
  fs.writeFileSync(path, text);
  await expect(open()).rejects.toThrow("identity.json says format 2");
  expect(fs.readFileSync(path, "utf8")).toBe(text);
});

test("a damaged identity with nothing beside it is refused, and with a log it is restored", async () => {
  const storage = await open();
  await storage.close();
  fs.writeFileSync(join(dir, "identity.json"), "{}");
  await expect(open()).rejects.toThrow(/identity.json is damaged/);

  fs.rmSync(join(dir, "identity.json"));
  const member = await founded();
  const before = member.read();
  await member.close();
  fs.writeFileSync(join(dir, "identity.json"), "{}");
  const again = await open();
  expect(again.report).toMatchObject({ identityRestored: true, recovering: null });
  expect(again.read()).toMatchObject({ clusterId: "c1", incarnation: before.incarnation });
  await again.close();
});

test("one folder is open in one process, also after a kill -9", async () => {
  const program = `
    import { openMemberStorage } from ${JSON.stringify(new URL("../../src/storage/open-member.ts", import.meta.url).href)};
    await openMemberStorage({ dir: ${JSON.stringify(dir)}, memberId: "n1" });
    console.log("open");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    await expect(open()).rejects.toThrow(/is in use by another process/);
  } finally {
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
  const storage = await open();
  await expect(open()).rejects.toThrow(/is in use by another process/);
  await storage.close();
});

test("an image that LevelDB has damaged, or lost, is made again from the log", async () => {
  const harms: readonly (readonly [string, (folder: string) => void])[] = [
    ["a flipped byte in a table", (folder) => flipByte(folder, ".ldb")],
    ["a flipped byte in the journal", (folder) => flipByte(folder, ".log")],
    ["a list of tables that is empty", (folder) => emptyFiles(folder, /^MANIFEST/)],
    ["everything gone", (folder) => fs.rmSync(folder, { recursive: true })],
  ];
  for (const [name, harm] of harms) {
    const storage = await founded();
    await persist(storage, { entries: entriesFrom(2, 50, 1) });
    const puts = Array.from({ length: 500 }, (_, i) => [`key-${i}`, `value ${i}`] as const);
    await writeImage(storage, { puts, base: baseAt(40, 1) });
    await storage.close();
    // Closing and opening moves what is in the journal into a table.
    if (name.includes("table")) await (await open()).close();

    harm(join(dir, "state.1"));
    const again = await open();
    const { boot, image } = must(again.recovered, "a member");
    expect([...image.records], `with ${name}`).toEqual([]);
    expect(boot, `with ${name}`).toMatchObject({ appliedIndex: 0, recovering: false });
    expect(boot.entries, `with ${name}`).toHaveLength(51);
    await again.close();
    fs.rmSync(dir, { recursive: true });
  }
});

test("whatever byte LevelDB's files lose, its image comes back whole, at an earlier position, or not at all", async () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 100_000);
  const random = seededRandom(seed);
  const storage = await founded();
  await persist(storage, { entries: entriesFrom(2, 50, 1) });
  const first = Array.from({ length: 400 }, (_, i) => [`key-${i}`, `first ${i}`] as const);
  const second = first.slice(0, 200).map(([key]) => [key, "second"] as const);
  await writeImage(storage, { puts: first, base: baseAt(20, 1) });
  await writeImage(storage, { puts: second, deletes: ["key-300"], base: baseAt(40, 1) });
  await storage.close();
  const early = new Map<string, unknown>(first);
  const late = new Map<string, unknown>([...first, ...second]);
  late.delete("key-300");
  const expected = new Map([
    [0, new Map()],
    [20, early],
    [40, late],
  ]);

  const healthy = `${dir}-healthy`;
  fs.cpSync(dir, healthy, { recursive: true });
  for (let i = 0; i < 40; i += 1) {
    fs.rmSync(dir, { recursive: true });
    fs.cpSync(healthy, dir, { recursive: true });
    // Half of the time with the journal moved into a table.
    if (i % 2 === 0) await (await open()).close();
    const files = fs.readdirSync(join(dir, "state.1")).filter((name) => !/^LO(?:G|CK)/.test(name));
    const file = join(dir, "state.1", must(files[Math.floor(random() * files.length)], "a file"));
    const where = `replay: SEED=${seed} npm run unit -- open-member (${file}, ${i})`;
    changeByte(file, random);
    const again = await open();
    const { boot, image } = must(again.recovered, "a member");
    expect(boot.recovering, `at ${where}`).toBe(false);
    expect(new Map(image.records), `at ${where}`).toEqual(expected.get(boot.appliedIndex));
    await again.close();
  }
});

test("an image travels in chunks from one member to another, and takes the old one's place", async () => {
  const storage = await founded();
  const puts = Array.from(
    { length: 6_000 },
    (_, i) => [`key-${i}`, `value ${i} ${"x".repeat(200)}`] as const,
  );
  await persist(storage, { entries: entriesFrom(2, 50, 1) });
  await writeImage(storage, { puts, base: baseAt(40, 1) });
  const chunks = await chunksOf(storage, async () => {
    // What is written meanwhile is no part of the view.
    await writeImage(storage, { puts: [["later", 1]], base: baseAt(41, 1) });
  });
  expect(chunks.length).toBeGreaterThan(4);
  for (const chunk of chunks) expect(chunk.length).toBeLessThan(300 * 1024);
  await storage.close();

  const receiver = await openMemberStorage({ dir: `${dir}-2`, memberId: "n2" });
  await receiver.join("c1", null);
  const sink = must(receiver.state, "a member").receiveImage({ id: "s-1", ...baseAt(40, 1) });
  for (const chunk of chunks) await ended((done) => sink.write(chunk, done));
  const image = await new Promise<StateImage | null>((resolve, reject) => {
    sink.commit((failure, result) =>
      failure === null ? resolve(result) : reject(new Error(failure.message)),
    );
  });
  expect(new Map(image?.records)).toEqual(new Map(puts));
  await ended((done) => must(receiver.log, "a member").reset(baseAt(40, 1), false, done));
  await writeImage(receiver, { puts: [["key-1", "new"]], deletes: ["key-2"], base: baseAt(40, 1) });
  await receiver.close();

  const again = await openMemberStorage({ dir: `${dir}-2`, memberId: "n2" });
  expect(again.report).toMatchObject({
    records: 5_999,
    appliedIndex: 40,
    lastIndex: 40,
    damage: [],
    recovering: null,
  });
  expect(fs.readdirSync(`${dir}-2`).filter((name) => name.startsWith("state"))).toEqual(["state.2"]);
  await again.close();
});

test("a folder is made with those above it, for its user only, also while somebody else makes the same ones", async () => {
  const paths = ["a", "b", "c"].map((name) => join(dir, "shared", "deeper", name));
  await Promise.all(paths.map((path) => makeDurablePath(path)));
  for (const path of [dir, ...paths]) expect(fs.statSync(path).mode & 0o777).toBe(0o700);
  const file = join(dir, "file");
  fs.writeFileSync(file, "");
  await expect(makeDurablePath(file)).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeDurablePath(join(file, "below"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

test("a start where no folder can be made ends with a sentence, and does not hang", async () => {
  await expect(openMemberStorage({ dir: "/proc/rollcall/data", memberId: "n1" })).rejects.toThrow(/\/proc\b/);
});

test("inspect describes a folder and changes nothing in it", async () => {
  const storage = await founded();
  await persist(storage, { hardState: { term: 4, vote: "n3" }, entries: entriesFrom(2, 3, 4) });
  await writeImage(storage, { puts: [["instance/default/web/a1", 1]], base: baseAt(2, 4) });
  await storage.close();
  const before = contentsOf(dir);
  const lines = await inspectFolder({ dir, entriesMax: 2 });
  expect(contentsOf(dir)).toEqual(before);
  expect(lines[0]).toMatch(/^member n1 of cluster c1, incarnation [0-9a-f]{16}, folder format 1$/);
  expect(lines).toContain("hard state: term 4, voted for n3");
  expect(lines.join("\n")).toMatch(/^state image: state.1 at 2@4, 1 records, \d+ bytes$/m);
  expect(lines).toContain("a start: begins with the image at 2@4 and 4 entries after 0@0");
  expect(lines).toContain("damage: none found");
  // The test's records and entries are no registry's.
  expect(lines.join("\n")).toMatch(/^with all of its log: what the folder holds cannot be applied: /m);
  expect(lines.filter((line) => /^ {2}\d+@\d+ /.test(line))).toHaveLength(2);

  flipByte(join(dir, "wal"), ".wal");
  const damaged = (await inspectFolder({ dir })).join("\n");
  expect(damaged).toMatch(/damage: .*wal/);
  expect(damaged).toMatch(/a start: begins with .*, and has no vote until/);
});

test("inspect takes no folder of something else for a member's", async () => {
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(join(dir, "notes.txt"), "mine");
  await expect(inspectFolder({ dir })).rejects.toThrow(/is no member's data folder/);
});

async function chunksOf(
  storage: OpenedStorage,
  meanwhile: () => Promise<void>,
): Promise<readonly Uint8Array[]> {
  const state = must(storage.state, "a member");
  const source = await new Promise<Parameters<Parameters<typeof state.openImage>[0]>[1]>(
    (resolve, reject) => {
      state.openImage((failure, opened) =>
        failure === null ? resolve(opened) : reject(new Error(failure.message)),
      );
    },
  );
  const read = (position: number): Promise<Uint8Array | null> =>
    new Promise((resolve, reject) => {
      must(source, "there is an image").read(position, (failure, chunk) =>
        failure === null ? resolve(chunk) : reject(new Error(failure.message)),
      );
    });
  const chunks: Uint8Array[] = [];
  for (let chunk = await read(0); chunk !== null; chunk = await read(chunks.length)) {
    if (chunks.length === 1) await meanwhile();
    chunks.push(chunk);
  }
  // Asked for again, also after the end, each chunk is the same.
  expect(await read(1)).toEqual(chunks[1]);
  expect(await read(chunks.length + 3)).toBe(null);
  source?.close();
  return chunks;
}

/** In the middle of the biggest file with that ending. */
function flipByte(folder: string, ending: string): void {
  const [name] = fs
    .readdirSync(folder)
    .filter((each) => each.endsWith(ending))
    .toSorted((a, b) => fs.statSync(join(folder, b)).size - fs.statSync(join(folder, a)).size);
  const path = join(folder, must(name, `a file that ends in ${ending}`));
  const bytes = fs.readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = must(bytes[middle], "the file is not empty") ^ 0x10;
  fs.writeFileSync(path, bytes);
}

function emptyFiles(folder: string, pattern: RegExp): void {
  for (const name of fs.readdirSync(folder)) if (pattern.test(name)) fs.truncateSync(join(folder, name));
}

function changeByte(path: string, random: () => number): void {
  const bytes = fs.readFileSync(path);
  const position = Math.floor(random() * bytes.length);
  if (bytes.length > 0) bytes[position] = (bytes[position] ?? 0) ^ (1 << Math.floor(random() * 8));
  fs.writeFileSync(path, bytes);
}

function contentsOf(folder: string): ReadonlyMap<string, string> {
  const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
  const isFile = (file: string): boolean => fs.statSync(join(folder, file)).isFile();
  return new Map(files.filter(isFile).map((file) => [file, fs.readFileSync(join(folder, file), "base64")]));
}

test("a batch that is too large to be handed to LevelDB in one turn is written as one", async () => {
  const storage = await founded();
  const puts = Array.from({ length: 12_000 }, (_, i) => [`a/${i}`, i] as const);
  await writeImage(storage, { puts });
  await writeImage(storage, { puts: [["b", 1]], deletes: puts.slice(1).map(([key]) => key) });
  await storage.close();
  const again = await open();
  expect(new Map(again.recovered?.image.records)).toEqual(
    new Map([
      ["a/0", 0],
      ["b", 1],
    ]),
  );
  await again.close();
});
