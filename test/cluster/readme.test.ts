/**
 * Runs what README.md tells people to run, and holds what it shows against what really comes out.
 *
 * The word after `sh` on a fenced block says how it is run:
 *
 * - `start`: in the background, on other ports and with its own data folder.
 * - `try`: line by line against that cluster. The block after it is the output: equal but for numbers, times, and who leads.
 * - `example`: each line in the background; the block after it begins as the last one's output does.
 * - `serve`: in the background, on other ports, until the process answers.
 * - `develop`, `docker`: not run, because they take minutes, need an engine, or would run this very test. What they name must exist, and options of
 *   `./scripts/test` must be in its help.
 */

import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { optionsAsMarkdown } from "../../src/config/render-options.ts";
import { endpoints } from "../../src/http/endpoints.ts";
import { freePortRun } from "../support/free-ports.ts";
import { ShellProcess } from "../support/shell-process.ts";
import { waitFor } from "../support/wait-for.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");

interface Block {
  readonly kind: string;
  readonly commands: readonly string[];
  /** The block that follows, if it is output. */
  readonly output: string;
}

/** Every fenced block of commands, with what it is said to print. */
function blocks(): readonly Block[] {
  const fences = [...readme.matchAll(/^```(\w*)(?: (\w+))?\n(.*?)^```$/gms)];
  return fences.flatMap(([, language, kind = "", body = ""], i) => {
    if (language !== "sh") return [];
    const [, next, , shown = ""] = fences[i + 1] ?? [];
    return [{ kind, commands: body.trim().split("\n"), output: next === "sh" ? "" : shown }];
  });
}

const ofKind = (kind: string): readonly Block[] => blocks().filter((block) => block.kind === kind);

/** What differs from run to run, and between a terminal and a pipe, taken out. */
function shape(output: string): string[] {
  return (
    output
      .replaceAll(/one failure stops writes|can lose \d+ more and go on/g, "(so many more)")
      .replaceAll(/\b(?:leader|follower)\b/g, "(role)")
      .replaceAll(/\b(?:yes|no)\b/g, "(yes or no)")
      .replaceAll(/\d+(?:[.:T-]\d+)*Z?/g, "#")
      .split("\n")
      .map((line) => line.replaceAll(/[ \t]+/g, " ").trim())
      // A table has a heading and dashes on a terminal only.
      .filter((line) => line !== "" && !/^[A-Z]+( [A-Z]+)+$/.test(line))
      .map((line) => line.replaceAll(/( -)+$/g, ""))
  );
}

test("every block of commands says how it is run", () => {
  const kinds = new Set(blocks().map(({ kind }) => kind));
  expect(kinds).toEqual(new Set(["start", "try", "example", "serve", "docker", "develop"]));
});

test("what the README has people try does what it shows", async () => {
  const base = await freePortRun([1, 2, 3, 101, 102, 103]);
  const data = mkdtempSync(join(tmpdir(), "rollcall-readme-"));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const urls = [1, 2, 3].map((i) => `http://127.0.0.1:${base + i}`);

  const [start] = ofKind("start");
  const cluster = new ShellProcess(`${start?.commands.join("\n")} --port ${base} --data ${data}`);
  await cluster.printed("Ctrl-C stops all members");
  const shown = shape(start?.output ?? "").filter((line) => !line.includes("Data in"));
  expect(shown).toHaveLength(3);
  expect(shape(cluster.output)).toEqual(expect.arrayContaining(shown));

  const leaderPid = /leader +pid (\d+)/.exec(cluster.output)?.[1] ?? "";
  const here = (command: string): string =>
    command
      .replaceAll(/127\.0\.0\.1:740(\d)/g, (_, i: string) => `127.0.0.1:${base + Number(i)}`)
      .replace(/^kill -9 \d+$/, `kill -9 ${leaderPid}`);
  expect(ofKind("try").length).toBeGreaterThanOrEqual(3);
  for (const { commands, output } of ofKind("try")) {
    let printed = "";
    for (const command of commands) {
      const env = { ...process.env, ROLLCALL_SERVER: urls.join(",") };
      const { stdout } = await promisify(execFile)("bash", ["-ec", here(command)], { cwd: root, env });
      printed += `${stdout.trimEnd()}\n`;
    }
    expect(shape(printed)).toEqual(shape(output));
  }
  await cluster.printed("became leader term=");

  const [example] = ofKind("example");
  const programs =
    example?.commands.map((line) => new ShellProcess(`${line} --servers ${urls.join(",")}`)) ?? [];
  const consumer = programs.pop();
  expect(programs).toHaveLength(3);
  await consumer?.printed(" retries 0  errors 0");
  const firstLine = example?.output.split("\n")[0] ?? "";
  expect(consumer?.output.startsWith(firstLine)).toBe(true);
  const [, , line = ""] = shape(example?.output ?? "");
  await waitFor(() => shape(consumer?.output ?? "").includes(line), {
    what: `the consumer prints lines such as "${line}"`,
  });
});

test("a member is run as the README says", async () => {
  const [serve] = ofKind("serve");
  const data = mkdtempSync(join(tmpdir(), "rollcall-readme-"));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const base = await freePortRun([0, 1, 2, 3, 4, 5]);
  const command = (serve?.commands.join("\n") ?? "")
    .replaceAll(/127\.0\.0\.1:740(\d)/g, (_, i: string) => `127.0.0.1:${base + Number(i) - 1}`)
    .replaceAll(/127\.0\.0\.1:750(\d)/g, (_, i: string) => `127.0.0.1:${base + Number(i) + 2}`)
    .replace("--data rollcall-data", `--data ${join(data, "n1")}`);
  const member = new ShellProcess(command);
  await member.printed("1 of 3 found");
  expect((await fetch(`http://127.0.0.1:${base}/livez`)).status).toBe(200);
});

test("what the other commands name is there", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const testHelp = execFileSync(join(root, "scripts/test"), ["--help"], { encoding: "utf8" });
  /** What a command needs and is not there. */
  const missing = (command: string): readonly string[] => {
    const [program = "", ...args] = command.split(" ");
    if (program === "npm") return [args[1] ?? ""].filter((name) => !(name in scripts));
    if (program === "docker") return ["docker-compose.yml"].filter((file) => !existsSync(join(root, file)));
    if (!existsSync(join(root, program))) return [program];
    return program === "./scripts/test" ? args.filter((word) => !testHelp.includes(word)) : [];
  };
  const commands = [...ofKind("develop"), ...ofKind("docker")].flatMap((block) => block.commands);
  expect(commands.length).toBeGreaterThan(5);
  expect(commands.map((command) => ({ command, missing: missing(command) }))).toEqual(
    commands.map((command) => ({ command, missing: [] })),
  );
});

test("every link of the README leads somewhere", () => {
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter((target) => !existsSync(join(root, target)))).toEqual([]);
});

test("the API table has every route of the server, and no other", () => {
  const rows = [...readme.matchAll(/^\| `([A-Z]+ \/[^`]*)` \|/gm)].map(([, call]) => call);
  expect(new Set(rows)).toEqual(new Set(endpoints.map(({ method, path }) => `${method} ${path}`)));
  expect(rows).toHaveLength(endpoints.length);
});

test("the options table is the one that the program prints (./scripts/rollcall options --markdown)", () => {
  expect(readme).toContain(`\n${optionsAsMarkdown()}\n`);
});
