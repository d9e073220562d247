// How a violation is reported: so that whoever reads it can replay it with one command.

import { spawnSync } from "node:child_process";

/** The commit that is checked out, with a star when files differ from it. */
export function commitOf(): string {
  const git = (...args: string[]): string =>
    spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
  const commit = git("rev-parse", "--short", "HEAD") || "unknown";
  return git("status", "--porcelain", "--", "src", "test") === "" ? commit : `${commit}*`;
}

/** The options that shape a run have to be repeated. */
export function replayCommand(seed: number, args: readonly string[]): string {
  const kept = args.flatMap((arg, i) => {
    if (arg === "--no-faults") return [arg];
    return arg === "--events" || arg === "--members" ? [arg, args[i + 1] ?? ""] : [];
  });
  return ["./scripts/simulate", "--seed", String(seed), ...kept, "--trace"].join(" ");
}

export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
