/**
 * Decides, from everything that was read, what a member starts with, and whether its memory is whole. Pure: reading is done before, and
 * repairing after.
 *
 * Torn is what a crash explains: an incomplete last group beyond the floor. Everything else that is missing was durable once, so it may
 * have been acknowledged: the member is recovering, until the cluster has given it back what it lost.
 */

import type { Entry, HardState, Index } from "../raft/types.ts";
import type { LogBase } from "../replica/ports.ts";
import type { FloorReading } from "./floor.ts";
import { emptyBase } from "./log-base.ts";
import { type LogShape, nameOf, termAt } from "./wal/log-shape.ts";
import type { WalScan } from "./wal/scan.ts";

/** The state image, as far as it matters here. */
export interface FoundImage {
  readonly base: LogBase;
  /** Received from another member and not written since: it may be ahead of the log, whose reset the crash has prevented. */
  readonly isReceived: boolean;
}

export interface Findings {
  readonly scan: WalScan;
  readonly floor: FloorReading;
  readonly image: FoundImage | null;
  /** A crash interrupted the founding of this member: there is a log, and not yet a floor. */
  readonly isFounding: boolean;
}

export interface Recovery {
  readonly hardState: HardState;
  readonly base: LogBase;
  /** Contiguous from the base. */
  readonly entries: readonly Entry[];
  /** Whether the image is the state at some position of this log; else it is discarded. */
  readonly usesImage: boolean;
  /** What was found damaged this time. */
  readonly damage: readonly string[];
  /** Why the member's memory is not whole, now or since an earlier start; null when it is. */
  readonly recovering: string | null;
  /** `keep`: the log on disk is what it should be, but for a torn tail. `reset`: it has to begin after the image. `rewrite`: it is replaced. */
  readonly log: "keep" | "reset" | "rewrite";
}

export function decideRecovery(findings: Findings): Recovery {
  const logDamage = damageOfLog(findings);
  const floorDamage = damageOfFloor(findings);
  const fit = fitImage(findings);
  const damage = [...logDamage, ...floorDamage, ...(fit.damage === null ? [] : [fit.damage])];
  const earlier = findings.floor.floor?.damage ?? null;
  const mustRewrite = logDamage.length > 0 || fit.damage !== null;
  return {
    hardState: newestHardState(findings, fit.base, fit.entries),
    base: fit.base,
    entries: fit.entries,
    usesImage: fit.usesImage,
    damage,
    recovering: damage.length > 0 ? damage.join("; ") : earlier,
    log: mustRewrite ? "rewrite" : fit.isAhead ? "reset" : "keep",
  };
}

function damageOfLog({ scan, floor: { floor } }: Findings): readonly string[] {
  const damage = [...scan.damage];
  if (scan.shape === null && damage.length === 0) damage.push("there is no log");
  if (floor === null) return damage;
  if (scan.shape !== null && floor.group > scan.lastGroup) {
    damage.push(
      `the log ends with group ${scan.lastGroup}, but group ${floor.group}, up to ${nameOf(floor.end)}, was durable`,
    );
  } else if (scan.chainAtGroup !== null && scan.chainAtGroup !== floor.chain) {
    damage.push(`group ${floor.group} of the log is not the one that was durable`);
  }
  return damage;
}

function damageOfFloor({ scan, floor: { floor, exists }, isFounding }: Findings): readonly string[] {
  if (floor === null) return isFounding ? [] : [exists ? "the floor cannot be read" : "there is no floor"];
  if (floor.generation >= scan.floorGeneration) return [];
  return [
    `the newest floor that can be read is ${floor.generation}, but ${scan.floorGeneration} was durable`,
  ];
}

interface Fit {
  readonly base: LogBase;
  readonly entries: readonly Entry[];
  readonly usesImage: boolean;
  /** The log ends before the image, because the image was received. */
  readonly isAhead: boolean;
  readonly damage: string | null;
}

/** Brings log and image together: the image must stand for a position of the log, and the log must go on from there. */
function fitImage(findings: Findings): Fit {
  const { image, scan } = findings;
  const { shape } = scan;
  if (shape === null) return onlyImage(image, null);
  const from = scan.entries[0]?.index ?? shape.end.index + 1;
  const isWhole = from <= shape.base.last.index + 1;
  if (isWhole) return fitWhole(findings, shape);

  const gap = `entries ${shape.base.last.index + 1} to ${from - 1} of the log are missing`;
  if (image === null || !isBridged(image, shape, from)) return onlyImage(image, gap);
  return {
    base: image.base,
    entries: after(scan.entries, image.base),
    usesImage: true,
    isAhead: false,
    damage: gap,
  };
}

/**
 * Whether the entries from `from` on continue the image. They must be known to agree with it where it ends: what can be read of a damaged
 * log may end before the truncation that cut off a tail which was never committed, and the image stands for what came in its place.
 */
function isBridged({ base: { last } }: FoundImage, shape: LogShape, from: Index): boolean {
  return last.index >= from - 1 && termAt(shape, last.index) === last.term;
}

function fitWhole({ image, scan }: Findings, shape: LogShape): Fit {
  const { base } = shape;
  const entries = after(scan.entries, base);
  if (image === null || image.base.last.index < base.last.index) {
    // All entries are there, so the state can be made again from nothing.
    if (base.last.index === 0) return { base, entries, usesImage: false, isAhead: false, damage: null };
    const why = `the state image is ${image === null ? "lost" : `at ${nameOf(image.base.last)}`}, and the log begins after ${nameOf(base.last)}`;
    return onlyImage(null, why);
  }
  const { last } = image.base;
  if (last.index > shape.end.index) {
    if (image.isReceived)
      return { base: image.base, entries: [], usesImage: true, isAhead: true, damage: null };
    return onlyImage(
      image,
      `the log ends at ${nameOf(shape.end)}, before the state image at ${nameOf(last)}`,
    );
  }
  const term = termAt(shape, last.index);
  if (term !== null && term !== last.term) {
    // A received image replaces a log that went another way.
    if (image.isReceived)
      return { base: image.base, entries: [], usesImage: true, isAhead: true, damage: null };
    return onlyImage(image, `the state image is at ${nameOf(last)}, where the log has term ${term}`);
  }
  return { base, entries, usesImage: true, isAhead: false, damage: null };
}

/** Nothing of the log can be used. */
function onlyImage(image: FoundImage | null, damage: string | null): Fit {
  return { base: image?.base ?? emptyBase, entries: [], usesImage: image !== null, isAhead: false, damage };
}

function after(entries: readonly Entry[], base: LogBase): readonly Entry[] {
  const first = entries[0]?.index ?? 0;
  return entries.slice(Math.max(0, base.last.index + 1 - first));
}

/** The later one of log and floor; and never below the terms of what is there, or nothing could follow it. */
function newestHardState({ scan, floor }: Findings, base: LogBase, entries: readonly Entry[]): HardState {
  const candidates = [scan.shape?.hardState, floor.floor?.hardState].filter((state) => state !== undefined);
  const term = entries.at(-1)?.term ?? base.last.term;
  return candidates.reduce((newest, state) => (isLater(state, newest) ? state : newest), {
    term,
    vote: null,
  });
}

/** Whether `a` promises more than `b`: a later term, or a vote where there was none. */
export function isLater(a: HardState, b: HardState): boolean {
  return a.term > b.term || (a.term === b.term && a.vote !== null && b.vote === null);
}
