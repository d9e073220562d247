/** Whether the shim of the power losses can be compiled and preloaded here. */

import { execFileSync } from "node:child_process";

export function hasCompiler(): boolean {
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
}
