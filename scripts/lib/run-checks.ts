// What ./scripts/test runs, on Node 24 and with the dependencies installed: every check in turn, one line each. A check
// that fails shows its output and the command that repairs or repeats it, and the others still run.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, stripVTControlCharacters } from "node:util";

type Step = {
  readonly name: string;
  readonly what: string;
  readonly command: readonly string[];
  /** What to run after a failure. */
  readonly remedy: string;
  /** Counts its tests instead of counting as one check. */
  readonly isVitest?: true;
};

type Result = { readonly passed: number; readonly failed: number; readonly output: string };

const check = (name: string, what: string, script: string, remedy: string): Step => ({
  name,
  what,
  command: ["npm", "run", "--silent", script],
  remedy,
});

const vitest = (name: string, what: string): Step => ({
  name,
  what,
  command: ["npm", "run", "--silent", name, "--"],
  remedy: `repeat: ./scripts/test --only ${name}`,
  isVitest: true,
});

const steps: readonly Step[] = [
  check("format", "formatting", "format:check", "repair: npm run format"),
  check("types", "types", "types", "repeat: ./scripts/test --only types"),
  check("lint", "lint: imports, purity, promises", "lint", "repeat: ./scripts/test --only lint"),
  check("dead-code", "dead code and dependencies", "dead-code", "repeat: ./scripts/test --only dead-code"),
  vitest("unit", "unit tests"),
  vitest("simulation", "simulation"),
  vitest("cluster", "real processes"),
];

const names = steps.map((step) => step.name);
const help = `Usage: ./scripts/test [--only STEP] ...

Runs every check and test, and ends with \`N passed, N failed\`: each check counts as one, each test as one.

Steps:
${steps.map((step) => `  ${step.name.padEnd(12)}${step.what}`).join("\n")}

  --only STEP   only this step; may be given more than once
  --help        this text

One test file: npm run unit -- raft (files whose path contains "raft"); likewise simulation and cluster.
Recorded output (golden files) is never written here; npm run unit -- -u writes it.`;

function readOptions(): readonly Step[] {
  let only: readonly string[];
  try {
    const options = { only: { type: "string", multiple: true }, help: { type: "boolean" } } as const;
    const { values } = parseArgs({ options });
    if (values.help === true) {
      console.log(help);
      process.exit(0);
    }
    only = values.only ?? names;
  } catch (error) {
    console.error(
      `test: ${(error as Error).message.split(". ")[0]}; ./scripts/test --help says what there is`,
    );
    process.exit(2);
  }
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    console.error(`test: there is no step "${unknown}"; the steps are ${names.join(", ")}`);
    process.exit(2);
  }
  return steps.filter((step) => only.includes(step.name));
}

/** The children that are running, so that Ctrl-C ends them too. */
const children = new Set<ReturnType<typeof spawn>>();

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal);
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

function execute(command: readonly string[]): Promise<{ status: number; output: string }> {
  // With CI set, a missing golden file is a failure instead of being written.
  const env = {
    ...process.env,
    CI: "1",
    ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
  };
  return new Promise((resolve) => {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => {
      children.delete(child);
      resolve({ status: 1, output: `${output}${error.message}\n` });
    });
    child.on("close", (code, signal) => {
      children.delete(child);
      const end = signal === null ? "" : `ended by ${signal}\n`;
      resolve({ status: code ?? 1, output: output + end });
    });
  });
}

async function runCheck(step: Step): Promise<Result> {
  const { status, output } = await execute(step.command);
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, output };
}

type VitestReport = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
};

async function runVitest(step: Step): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-test-"));
  const file = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const { status, output } = await execute([...step.command, ...reporters]);
  let passed = 0;
  let failed = 0;
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as VitestReport;
    passed = report.numPassedTests;
    // A file that could not even be loaded has no tests, and counts as one.
    const broken = report.testResults.filter(
      (one) => one.status === "failed" && one.assertionResults.length === 0,
    );
    failed = report.numFailedTests + broken.length;
  } catch {
    // No report: vitest itself ended early, or there was nothing to run. Its exit status tells which.
  }
  rmSync(folder, { recursive: true, force: true });
  // An unhandled error fails the run although every test passed.
  if (status !== 0 && failed === 0) failed = 1;
  return { passed, failed, output: output.replace(/^JSON report written to .*$/m, "") };
}

const total = { passed: 0, failed: 0 };

for (const step of readOptions()) {
  const start = performance.now();
  const result = await (step.isVitest === true ? runVitest(step) : runCheck(step));
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  total.passed += result.passed;
  total.failed += result.failed;

  const tests = step.isVitest === true ? `, ${result.passed} passed, ${result.failed} failed` : "";
  console.log(
    `${result.failed === 0 ? "ok    " : "FAILED"} ${step.name.padEnd(11)} ${seconds} s  ${step.what}${tests}`,
  );
  if (result.failed > 0) {
    const output = process.stdout.isTTY ? result.output : stripVTControlCharacters(result.output);
    console.log(`\n${output.trim().replaceAll(/^/gm, "    ")}\n\n    ${step.remedy}\n`);
  }
}

console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
