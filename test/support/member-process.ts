/** One real member: a process of its own, with its data folder, its log and its pid. */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NeverError } from "./wait-for.ts";

const entryPoint = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** What Node has compiled of the sources, so that a member starts in a fraction of the time. */
const compileCache = fileURLToPath(new URL("../../node_modules/.cache/node-compile-cache", import.meta.url));

/** As scripts/rollcall runs it, without the shell in between. */
const nodeFlags = [
  "--disable-warning=ExperimentalWarning",
  "--disable-proto=delete",
  "--disallow-code-generation-from-strings",
];

const nodeEnvironment = { MALLOC_ARENA_MAX: "2", MALLOC_TRIM_THRESHOLD_: "131072" };

export interface MemberSettings {
  readonly id: string;
  readonly dataFolder: string;
  readonly clientUrl: string;
  /** Where it listens for peers; a proxy may stand before it. */
  readonly peerPort: number;
  /** Further options of `serve`, without the leading dashes. */
  readonly flags: Readonly<Record<string, string>>;
  /** The program's main file, in the place of the one in `src/`. */
  readonly program?: string;
  /** Further environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class MemberProcess {
  settings: MemberSettings;
  #child: ChildProcess | null = null;
  /** When it has ended and everything that it printed has been read. */
  #closed: Promise<unknown> = Promise.resolve();
  #log = "";
  /** Whether the test itself ended the process, or means it to end. */
  #mayEnd = false;

  constructor(settings: MemberSettings) {
    this.settings = settings;
  }

  get id(): string {
    return this.settings.id;
  }

  get clientUrl(): string {
    return this.settings.clientUrl;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== null && child.exitCode === null && child.signalCode === null;
  }

  get pid(): number {
    return this.#running().pid ?? 0;
  }

  /** Everything it has printed, over all its lives. */
  get log(): string {
    return this.#log;
  }

  /** With these options as well, or instead. */
  start(flags: Readonly<Record<string, string>> = {}): void {
    this.settings = { ...this.settings, flags: { ...this.settings.flags, ...flags } };
    this.#start();
  }

  #start(): void {
    if (this.isRunning) throw new Error(`${this.id} runs already`);
    const { id, dataFolder, clientUrl, peerPort, flags, program, environment = {} } = this.settings;
    const given = {
      id,
      data: dataFolder,
      listen: new URL(clientUrl).host,
      "peer-listen": `127.0.0.1:${peerPort}`,
      "log-format": "json",
      ...flags,
    };
    const args = Object.entries(given).flatMap(([flag, value]) => [`--${flag}`, value]);
    const child = spawn(process.execPath, [...nodeFlags, program ?? entryPoint, "serve", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      // Nothing of whoever runs the tests reaches the member.
      env: {
        PATH: process.env["PATH"] ?? "",
        NODE_COMPILE_CACHE: compileCache,
        ...nodeEnvironment,
        ...environment,
      },
    });
    const take = (chunk: Buffer): void => {
      this.#log += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    this.#child = child;
    this.#closed = once(child, "close");
    this.#mayEnd = false;
  }

  /** Throws, with the end of its log, when the process has ended by itself. */
  mustNotHaveCrashed(): void {
    if (this.#child === null || this.#mayEnd || this.isRunning) return;
    throw new NeverError(`${this.id} ended by itself:\n${this.#log.slice(-2_000)}`);
  }

  /** Resolves when the process is gone. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<Ending> {
    const child = this.#running();
    this.#mayEnd = true;
    const ended = this.ended();
    child.kill("SIGCONT");
    child.kill(signal);
    return ended;
  }

  async ended(): Promise<Ending> {
    const child = this.#child;
    if (child === null) throw new Error(`${this.id} was never started`);
    await this.#closed;
    return { code: child.exitCode, signal: child.signalCode };
  }

  /** Stops the process in its tracks; `resume` lets it go on. */
  pause(): void {
    this.#running().kill("SIGSTOP");
  }

  resume(): void {
    this.#running().kill("SIGCONT");
  }

  /** Empties the data folder of a member that is down. */
  wipe(): void {
    if (this.isRunning) throw new Error(`${this.id} still runs`);
    rmSync(this.settings.dataFolder, { recursive: true, force: true });
  }

  #running(): ChildProcess {
    if (this.#child === null || !this.isRunning)
      throw new Error(`${this.id} does not run:\n${this.#log.slice(-2000)}`);
    return this.#child;
  }
}
