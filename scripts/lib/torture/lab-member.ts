/** A member to be harmed: a process of its own, or one in this process, which starts and ends in a fraction of the time. */

import { readConfig } from "../../../src/config/read-config.ts";
import { startMember, type RunningMember } from "../../../src/main.ts";
import { loggerTo } from "../../../src/observability/logger.ts";
import type { MemberProcess, MemberSettings } from "../../../test/support/member-process.ts";
import { NeverError } from "../../../test/support/wait-for.ts";

export type LabMember = Pick<
  MemberProcess,
  "id" | "settings" | "clientUrl" | "isRunning" | "log" | "start" | "mustNotHaveCrashed"
> & {
  /** Resolves when it is gone. In this process no member can be killed: it is ended gracefully. */
  kill(signal?: "SIGKILL" | "SIGTERM"): Promise<unknown>;
};

export class MemberInThisProcess implements LabMember {
  readonly settings: MemberSettings;
  #life: Promise<RunningMember> | null = null;
  #crash: string | null = null;
  #log = "";

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
    return this.#life !== null && this.#crash === null;
  }

  get log(): string {
    return this.#log;
  }

  start(): void {
    const { id, dataFolder, clientUrl, peerPort, flags } = this.settings;
    const given = {
      id,
      data: dataFolder,
      listen: new URL(clientUrl).host,
      "peer-listen": `127.0.0.1:${peerPort}`,
      ...flags,
    };
    const options = Object.entries(given).map(([flag, value]) => [camelCase(flag), value]);
    const config = readConfig({ flags: Object.fromEntries(options) as object, env: {}, file: null });
    const stream = { write: (line: string) => void (this.#log += line) };
    const life = startMember(config, loggerTo(stream, { level: "info", fields: { member: id } }));
    this.#crash = null;
    this.#life = life;
    life
      .then((member) => member.ended)
      .catch((error: unknown) => {
        if (this.#life !== life) return;
        this.#crash = String(error);
        this.#log += `${this.#crash}\n`;
      });
  }

  mustNotHaveCrashed(): void {
    if (this.#crash === null) return;
    throw new NeverError(`${this.id} ended by itself:\n${this.#log.slice(-2_000)}`);
  }

  async kill(): Promise<void> {
    const life = this.#life;
    this.#life = null;
    // One that refused to start, or could not go on, has said so.
    await life?.then((member) => member.stop()).catch(() => {});
  }
}

function camelCase(flag: string): string {
  return flag.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
