/**
 * Power losses of a real member: it is killed, and then everything is taken from its files that no fsync had promised. `power-shim.c`,
 * compiled here and preloaded into the member, notes the promises; `power-names.ts` takes back names, and the rest here bytes.
 */

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { filesIn } from "./injuries.ts";
import { identityOf, UnsyncedNames } from "./power-names.ts";

const shimSources = ["power-shim.c", "name-shim.c"].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
);
const headerBytes = 40;
const sectorBytes = 512;

/** What of a file survives a power loss: its first bytes, or, where it is rewritten in place, just these bytes. */
interface Promised {
  readonly size: number;
  readonly content: Uint8Array | null;
}

/** What a disk says that it has synced, and has not. */
export type IgnoredSyncs = "none" | "folders" | "everything";

/** What a power loss has taken: bytes, and changes of names. */
export interface Taken {
  readonly bytes: number;
  readonly names: number;
}

/** The path of the compiled shim. */
export function compileShim(folder: string): string {
  const library = join(folder, "power-shim.so");
  execFileSync("gcc", ["-shared", "-fPIC", "-O2", "-o", library, ...shimSources, "-ldl"], {
    stdio: "inherit",
  });
  return library;
}

/** Slows a member's disk down, or lets it hang. */
export class SlowDisk {
  readonly #delay: string;

  constructor(dataFolder: string) {
    this.#delay = `${dataFolder}.delay`;
  }

  environment(shim: string): Record<string, string> {
    return { LD_PRELOAD: shim, POWER_SHIM_DELAY: this.#delay };
  }

  /** How much longer each fsync takes from now on; 0 for not at all. */
  takes(ms: number): void {
    fs.writeFileSync(this.#delay, String(ms));
  }
}

/** Lets what a member asks of its disk fail with EIO. */
export class BrokenDisk {
  readonly #control: string;

  constructor(dataFolder: string) {
    this.#control = `${dataFolder}.fail`;
  }

  environment(): Record<string, string> {
    return { POWER_SHIM_FAIL: this.#control };
  }

  /** What fails from now on; null for nothing. */
  fails(what: "sync" | "write" | null): void {
    fs.writeFileSync(this.#control, what ?? "");
  }
}

export class PowerSupply {
  readonly #dataFolder: string;
  readonly #journal: string;
  readonly #names: UnsyncedNames;
  #promised = new Map<string, Promised>();

  constructor(dataFolder: string) {
    this.#dataFolder = dataFolder;
    this.#journal = `${dataFolder}.power`;
    this.#names = new UnsyncedNames(dataFolder);
  }

  /** The environment of the member. */
  environment(shim: string, ignored: IgnoredSyncs): Record<string, string> {
    return {
      LD_PRELOAD: shim,
      POWER_SHIM_JOURNAL: this.#journal,
      ...this.#names.environment(),
      ...(ignored === "none" ? {} : { POWER_SHIM_IGNORE: ignored }),
    };
  }

  /** To be called after a kill: makes the data folder what it is once power is back. */
  cut(random: () => number): Taken {
    this.#readJournal();
    const names = this.#names.cut(random);
    let bytes = 0;
    for (const path of filesIn(this.#dataFolder)) bytes += this.#cutFile(path, random);
    // What is there now was on the disk when the power came back.
    this.#promised = new Map(
      filesIn(this.#dataFolder).map((path) => {
        const { key, size } = about(path);
        return [key, { size, content: size <= 16_384 ? fs.readFileSync(path) : null }];
      }),
    );
    return { bytes, names };
  }

  #readJournal(): void {
    if (!fs.existsSync(this.#journal)) return;
    const bytes = fs.readFileSync(this.#journal);
    for (let at = 0; at + headerBytes <= bytes.length;) {
      const field = (n: number): bigint => bytes.readBigUInt64LE(at + 8 * n);
      const size = Number(field(3));
      const hasContent = field(4) === 1n;
      const end = at + headerBytes + (hasContent ? size : 0);
      // The kill may have come in the middle of a note: then its sync has told nobody.
      if (end > bytes.length) break;
      const content = hasContent ? bytes.subarray(at + headerBytes, end) : null;
      this.#promised.set(`${field(0)}-${field(1)}-${field(2)}`, { size, content });
      at = end;
    }
    fs.rmSync(this.#journal);
  }

  #cutFile(path: string, random: () => number): number {
    const { key, size } = about(path);
    const promised = this.#promised.get(key) ?? { size: 0, content: null };
    if (promised.content !== null && size <= Math.max(promised.size, sectorBytes * 16))
      return tear(path, promised.content, random);
    const extra = size - promised.size;
    if (extra <= 0) return 0;
    const kept = promised.size + Math.floor(extra * [0, 1, random()][Math.floor(random() * 3)]!);
    fs.truncateSync(path, kept);
    // The length of a file may reach the disk before its bytes do.
    if (random() < 0.3) zero(path, promised.size + Math.floor((kept - promised.size) * random()), kept);
    return size - kept;
  }
}

/** A file that is rewritten in place: each of its sectors is the old or the new one. */
function tear(path: string, promised: Uint8Array, random: () => number): number {
  const now = fs.readFileSync(path);
  const torn = Buffer.from(now);
  let changed = 0;
  for (let at = 0; at < now.length; at += sectorBytes) {
    const old = promised.subarray(at, at + sectorBytes);
    if (Buffer.compare(old, now.subarray(at, at + sectorBytes)) === 0 || random() < 0.5) continue;
    torn.fill(0, at, Math.min(at + sectorBytes, torn.length));
    torn.set(old, at);
    changed += sectorBytes;
  }
  fs.writeFileSync(path, torn);
  return changed;
}

function zero(path: string, from: number, to: number): void {
  const file = fs.openSync(path, "r+");
  fs.writeSync(file, Buffer.alloc(to - from), 0, to - from, from);
  fs.closeSync(file);
}

function about(path: string): { readonly key: string; readonly size: number } {
  return { key: identityOf(path) ?? "", size: fs.statSync(path).size };
}
