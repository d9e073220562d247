/**
 * Golden scripts: a conversation with the code, recorded. A script is a text file of blocks
 *
 *     # A comment, kept as it is.
 *     command
 *     another command
 *     ---
 *     what they answered, up to the next empty line
 *
 * Running it runs the commands and compares the answers. A change of behaviour is then a difference that a person can judge. `vitest -u`
 * records what the code answers now; where `CI` is set, nothing is ever written.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Takes one command line and answers in lines; an empty array for nothing to say. */
export type Interpreter = (command: string) => readonly string[];

interface Block {
  /** Comments and empty lines before the commands. */
  readonly preamble: readonly string[];
  readonly commands: readonly string[];
}

/** One test for each script below `folder`, named by its path and its first comment. A fresh interpreter for each. */
export function testScripts(folder: URL, newInterpreter: () => Interpreter): void {
  for (const path of scriptsIn(folder)) {
    const url = new URL(path, folder);
    const script = readFileSync(url, "utf8");
    test(`${path.replace(/\.txt$/, "")}: ${titleOf(script)}`, () => {
      const rendered = runScript(script, newInterpreter());
      const expected = isUpdating() ? record(url, rendered) : script;
      expect(rendered, `${path} (record with -u if this is what should happen)`).toBe(expected);
    });
  }
}

/** The script with what the interpreter answers now. */
export function runScript(script: string, interpreter: Interpreter): string {
  const blocks = parse(script).map(({ preamble, commands }) => {
    const answers = commands.flatMap((command) => interpreter(command));
    const recorded = commands.length === 0 ? [] : ["---", ...(answers.length === 0 ? ["ok"] : answers)];
    return [...preamble, ...commands, ...recorded].join("\n");
  });
  return `${blocks.join("\n\n")}\n`;
}

function parse(script: string): Block[] {
  return script
    .trimEnd()
    .split(/\n\n+/)
    .map((paragraph) => {
      const lines = paragraph.split("\n");
      const separator = lines.indexOf("---");
      const input = separator < 0 ? lines : lines.slice(0, separator);
      return {
        preamble: input.filter((line) => line.startsWith("#")),
        commands: input.filter((line) => line !== "" && !line.startsWith("#")),
      };
    });
}

function titleOf(script: string): string {
  const comment = script.split("\n").find((line) => line.startsWith("# "));
  return comment?.slice(2) ?? "a script without a title";
}

function scriptsIn(folder: URL): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".txt")).toSorted();
}

function record(url: URL, rendered: string): string {
  writeFileSync(url, rendered);
  return rendered;
}

/** Whether vitest was asked to record (`-u`). */
function isUpdating(): boolean {
  const { snapshotState } = expect.getState() as unknown as {
    readonly snapshotState?: { readonly _updateSnapshot?: string };
  };
  return snapshotState?._updateSnapshot === "all" && !process.env["CI"];
}
