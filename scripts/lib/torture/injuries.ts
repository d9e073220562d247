/** Ways in which a disk, or somebody with a shell, harms the data folder of a member that is down. */

import * as fs from "node:fs";
import { dirname, join, relative } from "node:path";
import { Registry } from "../../../src/registry/registry.ts";
import { commandCodec } from "../../../src/storage/command-codec.ts";
import { openMemberStorage } from "../../../src/storage/open-member.ts";

export interface Injury {
  /** Such as "a flipped bit". */
  readonly harm: string;
  /** Where, with numbers left out: such as "wal/N.wal". */
  readonly place: string;
}

export interface Folder {
  readonly path: string;
  /** Files as they were at an earlier moment of this life, by path. */
  readonly earlier: ReadonlyMap<string, Uint8Array>;
  /** A copy of the whole folder from when the member was down before; null before that. */
  readonly earlierFolder: string | null;
}

type Random = () => number;

/** What the file holds afterwards; null when it is gone; undefined when this cannot be done to it. */
type Harm = (path: string, random: Random, folder: Folder) => Uint8Array | null | undefined;

const at = (bytes: Uint8Array, random: Random): number => Math.floor(random() * bytes.length);

function rewritten(change: (bytes: Buffer, random: Random) => Uint8Array): Harm {
  return (path, random) => change(fs.readFileSync(path), random);
}

const fileHarms: Readonly<Record<string, Harm>> = {
  "a flipped bit": rewritten((bytes, random) => {
    const position = at(bytes, random);
    bytes[position] = (bytes[position] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes;
  }),
  "a cut end": rewritten((bytes, random) => bytes.subarray(0, at(bytes, random))),
  "a byte missing within": rewritten((bytes, random) => {
    const position = at(bytes, random);
    return Buffer.concat([bytes.subarray(0, position), bytes.subarray(position + 1)]);
  }),
  "a zeroed block": rewritten((bytes, random) => {
    const from = Math.floor(at(bytes, random) / 512) * 512;
    return bytes.fill(0, from, Math.min(from + 512, bytes.length));
  }),
  "a zeroed end": rewritten((bytes, random) => bytes.fill(0, at(bytes, random))),
  garbage: rewritten((bytes, random) => {
    const from = at(bytes, random);
    return bytes.map((byte, i) => (i >= from && i < from + 100 ? Math.floor(random() * 256) : byte));
  }),
  "an empty file": () => new Uint8Array(),
  "a deleted file": () => null,
  "an older copy": (path, _random, { earlier }) => earlier.get(path),
  "another file in its place": (path, random) => {
    const others = filesIn(dirname(path)).filter(
      (other) => other !== path && dirname(other) === dirname(path),
    );
    return others.length === 0 ? undefined : fs.readFileSync(pick(others, random));
  },
};

/** Each place as often as its share of the list. LevelDB's text log is left out: it says nothing to anybody but people. */
const places: readonly RegExp[] = [
  /^wal\/\d+\.wal$/,
  /^wal\/\d+\.wal$/,
  /^wal\/\d+\.wal$/,
  /^floor$/,
  /^floor$/,
  /^identity\.json$/,
  /^state\.\d+\/(?!LOG)/,
  /^state\.\d+\/(?!LOG)/,
  /^state\.\d+\/(?!LOG)/,
  /^(?:reserve|lock\/.*)$/,
];

const folderHarms: Readonly<Record<string, (folder: Folder, random: Random) => Injury | null>> = {
  "a deleted folder": ({ path }, random) => {
    const folders = fs.readdirSync(path).filter((name) => fs.statSync(join(path, name)).isDirectory());
    const gone = pick(folders, random);
    fs.rmSync(join(path, gone), { recursive: true });
    return { harm: "a deleted folder", place: withoutNumbers(gone) };
  },
  "all of an earlier time": ({ path, earlierFolder }) => {
    if (earlierFolder === null) return null;
    fs.rmSync(path, { recursive: true });
    fs.cpSync(earlierFolder, path, { recursive: true });
    return { harm: "all of an earlier time", place: "the data folder" };
  },
};

const folderHarmShare = 0.1;
const secondHarmShare = 0.15;

/** Not everything that is drawn changes something. */
const drawsMax = 100;

/** Harms one place, now and then two. */
export function injure(folder: Folder, random: Random): readonly Injury[] {
  for (let i = 0; i < drawsMax; i += 1) {
    const injuries = tryToInjure(folder, random);
    if (injuries.length > 0) return injuries;
  }
  throw new Error(`nothing in ${folder.path} could be harmed`);
}

function tryToInjure(folder: Folder, random: Random): readonly Injury[] {
  if (random() < folderHarmShare) {
    const injury = pick(Object.values(folderHarms), random)(folder, random);
    return injury === null ? [] : [injury];
  }
  const injuries = random() < secondHarmShare ? [injureFile(folder, random)] : [];
  return [...injuries, injureFile(folder, random)].filter((injury) => injury !== null);
}

function injureFile(folder: Folder, random: Random): Injury | null {
  const files = filesIn(folder.path).filter((path) => fs.statSync(path).size > 0);
  const place = pick(places, random);
  const there = files.filter((path) => place.test(relative(folder.path, path)));
  if (there.length === 0) return null;
  const path = pick(there, random);
  const [harm, change] = pick(Object.entries(fileHarms), random);
  const before = fs.readFileSync(path);
  const after = change(path, random, folder);
  if (after === undefined || (after !== null && Buffer.compare(before, after) === 0)) return null;
  if (after === null) fs.rmSync(path);
  else fs.writeFileSync(path, after);
  return { harm, place: withoutNumbers(relative(folder.path, path)) };
}

/**
 * Everything that a member would know after a start from this folder, as text: who it is, its vote, its log, and the state once all of the
 * log is applied, from whichever image that begins. Opens a copy: opening repairs.
 */
export async function memoryIn(folder: string, memberId: string): Promise<string> {
  const copy = `${folder}.read`;
  fs.cpSync(folder, copy, { recursive: true });
  try {
    const storage = await openMemberStorage({ dir: copy, memberId });
    const { recovered, identity } = storage;
    await storage.close();
    if (recovered === null) return JSON.stringify([identity]);
    const { appliedIndex, ...log } = recovered.boot;
    const registry = Registry.load(recovered.image.records);
    for (const entry of log.entries) {
      if (entry.kind === "command" && entry.index > appliedIndex)
        registry.apply(commandCodec.decode(entry.payload), entry.clusterTime);
    }
    return JSON.stringify([identity, log, registry.stateHash()]);
  } finally {
    fs.rmSync(copy, { recursive: true });
  }
}

/** Every regular file below the folder, sorted. */
export function filesIn(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

function withoutNumbers(path: string): string {
  return path.replaceAll(/\d+/g, "N");
}

function pick<T>(from: readonly T[], random: Random): T {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}
