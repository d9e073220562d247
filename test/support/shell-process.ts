/** A command line as a person types it, from the root of the repository: what it prints, and how it ends. It is ended with the test. */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFailed, onTestFinished } from "vitest";
import { NeverError, waitFor } from "./wait-for.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A program that does not end by itself within this time is ended. */
const endWithinMs = 15_000;

export class ShellProcess {
  readonly command: string;
  readonly #child: ChildProcess;
  /** When it has ended and everything that it printed has been read. */
  readonly #closed: Promise<unknown>;
  #output = "";

  constructor(command: string) {
    this.command = command;
    // The shell replaces itself with the program, so that signals reach it.
    this.#child = spawn("bash", ["-c", `exec ${command}`], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    this.#closed = once(this.#child, "close");
    const take = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    this.#child.stdout?.on("data", take);
    this.#child.stderr?.on("data", take);
    onTestFinished(() => this.#end());
    onTestFailed(() => console.log(`── ${command} ──\n${this.#output.split("\n").slice(-40).join("\n")}`));
  }

  get output(): string {
    return this.#output;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async printed(text: string): Promise<void> {
    let hasClosed = false;
    void this.#closed.then(() => (hasClosed = true));
    const isPrinted = (): boolean => {
      if (this.#output.includes(text)) return true;
      if (!hasClosed) return false;
      const { exitCode, signalCode } = this.#child;
      throw new NeverError(`${this.command} ended (${signalCode ?? exitCode}), and never printed "${text}"`);
    };
    await waitFor(isPrinted, { what: `${this.command} prints "${text}"` });
  }

  /** The exit status, once everything that it printed is here; null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  get #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Politely, because a program may have started others. */
  async #end(): Promise<void> {
    if (!this.#isRunning) return;
    const giveUp = setTimeout(() => this.#child.kill("SIGKILL"), endWithinMs);
    this.#child.kill("SIGTERM");
    await this.ended();
    clearTimeout(giveUp);
  }
}
