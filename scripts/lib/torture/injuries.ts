/** Ways in which a disk harms the files of a member that is down. */

import * as fs from "node:fs";

type Harm = (path: string, random: () => number, older: Uint8Array | null) => Uint8Array | null;

const at = (bytes: Uint8Array, random: () => number): number => Math.floor(random() * bytes.length);

function rewritten(change: (bytes: Buffer, random: () => number) => Uint8Array): Harm {
  return (path, random) => change(fs.readFileSync(path), random);
}

const harms: Readonly<Record<string, Harm>> = {
  "a flipped bit": rewritten((bytes, random) => {
    const position = at(bytes, random);
    bytes[position] = (bytes[position] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes;
  }),
  "a cut end": rewritten((bytes, random) => bytes.subarray(0, at(bytes, random))),
  "a zeroed block": rewritten((bytes, random) => {
    const from = Math.floor(at(bytes, random) / 512) * 512;
    return bytes.fill(0, from, Math.min(from + 512, bytes.length));
  }),
  "a zeroed end": rewritten((bytes, random) => bytes.fill(0, at(bytes, random))),
  garbage: rewritten((bytes, random) => {
    const from = at(bytes, random);
    return bytes.map((byte, i) => (i >= from && i < from + 100 ? Math.floor(random() * 256) : byte));
  }),
  "a deleted file": () => null,
  "an older copy": (_path, _random, older) => older,
};

/** Harms the file. Null when that would not have changed it; else how it was harmed. */
export function injure(path: string, older: Uint8Array | null, random: () => number): string | null {
  const names = Object.keys(harms).filter((name) => name !== "an older copy" || older !== null);
  const name = names[Math.floor(random() * names.length)] ?? "";
  const before = fs.readFileSync(path);
  const after = harms[name]?.(path, random, older) ?? null;
  if (after === null) {
    fs.rmSync(path);
    return name;
  }
  if (Buffer.compare(before, after) === 0) return null;
  fs.writeFileSync(path, after);
  return name;
}
