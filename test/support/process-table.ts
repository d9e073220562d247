/** Which processes of this machine run, and who started them. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** By pid: the parents of all processes that have not ended, whether or not somebody has asked how. */
export function parents(): ReadonlyMap<number, number> {
  const rows = existsSync("/proc/self/stat") ? readLinux() : readPs();
  return new Map(
    rows
      .filter(({ state }) => !state.startsWith("Z"))
      .map(({ pid, parent }) => [Number(pid), Number(parent)]),
  );
}

interface Row {
  readonly pid: string;
  readonly parent: string;
  readonly state: string;
}

/** Images of Linux are often without `ps`. */
function readLinux(): readonly Row[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        // "pid (name) state parent ...", and a name may hold anything.
        const [state = "", parent = ""] = readFileSync(`/proc/${pid}/stat`, "utf8")
          .replace(/^.*\) /s, "")
          .split(" ");
        return [{ pid, parent, state }];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
}

function readPs(): readonly Row[] {
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" });
  return [...table.matchAll(/^ *(\d+) +(\d+) +(\S)/gm)].map(([, pid = "", parent = "", state = ""]) => ({
    pid,
    parent,
    state,
  }));
}
