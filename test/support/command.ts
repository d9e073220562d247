/** Runs `rollcall COMMAND` as a process of its own, as a person or a script would. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const entryPoint = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves whatever the exit status is. Standard output is no terminal. */
export function rollcall(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env["PATH"] ?? "", ...env }, timeout: 200_000 };
    const argv = ["--disable-warning=ExperimentalWarning", entryPoint, ...args];
    const child = execFile(process.execPath, argv, options, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout, stderr });
    });
  });
}
