/** How a violation is reported: so that whoever reads it can replay it with one command. */

import { spawnSync } from "node:child_process";
import type { OptionLimits } from "./options.ts";
import type { SeedResult } from "./run-seeds.ts";

export function violationReport({ seed, violation }: SeedResult, limits: OptionLimits = {}): string {
  return [
    `VIOLATION in seed ${seed}, commit ${commitOf()}`,
    `  ${violation?.checker}: ${violation?.message}`,
    `  replay: ${replayCommand(seed, limits)}`,
  ].join("\n");
}

/** The commit that is checked out, with a star when files differ from it. */
function commitOf(): string {
  const git = (...args: string[]): string =>
    spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
  const commit = git("rev-parse", "--short", "HEAD") || "unknown";
  return git("status", "--porcelain", "--", "src", "test") === "" ? commit : `${commit}*`;
}

/** Whatever shapes a run has to be repeated. */
function replayCommand(seed: number, limits: OptionLimits): string {
  const { eventsMax, members, noFaults, noAmbushes, earlyAmbushes } = limits;
  return [
    `./scripts/simulate --seed ${seed}`,
    ...(eventsMax === undefined ? [] : [`--events ${eventsMax}`]),
    ...(members === undefined ? [] : [`--members ${members}`]),
    ...(noFaults === true ? ["--no-faults"] : []),
    ...(noAmbushes === true ? ["--no-ambushes"] : []),
    ...(earlyAmbushes === true ? ["--early-ambushes"] : []),
    "--trace",
  ].join(" ");
}
