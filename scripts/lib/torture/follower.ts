/** One watch that never ends: it goes on at whichever member is there, and must be told every change once, in order. */

import { setTimeout as sleep } from "node:timers/promises";
import { any, type ShownInstance, versionOf } from "./clients.ts";
import type { LabMember } from "./lab-member.ts";

type Told =
  | { readonly type: "snapshot"; readonly revision: number; readonly services: Services }
  | { readonly type: "put"; readonly revision: number; readonly instance: ShownInstance }
  | { readonly type: "delete"; readonly revision: number; readonly id: string }
  | { readonly type: "sync" | "goaway"; readonly revision: number };
type Services = Readonly<Record<string, readonly ShownInstance[]>>;

const againMs = 50;

export class Follower {
  readonly #members: readonly LabMember[];
  readonly #fault: (what: string) => void;
  readonly #end = new AbortController();
  readonly #loop: Promise<void>;
  readonly #view = new Map<string, number>();
  #revision = 0;
  /** How often it had to begin again somewhere. */
  resumed = 0;

  constructor(members: readonly LabMember[], fault: (what: string) => void) {
    this.#members = members;
    this.#fault = fault;
    this.#loop = this.#follow();
  }

  /** Up to which revision it has been told everything. */
  get revision(): number {
    return this.#revision;
  }

  /** What is there, by what it was told. */
  get view(): ReadonlyMap<string, number> {
    return this.#view;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#loop;
  }

  async #follow(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const member = any(this.#members);
      if (member.isRunning)
        await this.#listen(member).catch(() => {
          // The member went, or cannot serve: another one can.
        });
      this.resumed += 1;
      await sleep(againMs);
    }
  }

  async #listen(member: LabMember): Promise<void> {
    const after = this.#revision === 0 ? "" : `&afterRevision=${this.#revision}`;
    const answer = await fetch(new URL(`/v1/watch?service=torture${after}`, member.clientUrl), {
      headers: { accept: "application/x-ndjson" },
      signal: this.#end.signal,
    });
    if (!answer.ok || answer.body === null) return void (await answer.arrayBuffer());
    const decoder = new TextDecoder();
    let begun = "";
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (begun + decoder.decode(chunk, { stream: true })).split("\n");
      begun = lines.pop() ?? "";
      for (const line of lines) if (line !== "") this.#take(member, JSON.parse(line) as Told);
    }
  }

  #take(member: LabMember, told: Told): void {
    const isChange = told.type === "put" || told.type === "delete";
    const isInOrder = isChange ? told.revision > this.#revision : told.revision >= this.#revision;
    if (!isInOrder)
      this.#fault(
        `${member.id}: the watch was told a ${told.type} of ${told.revision} after ${this.#revision}`,
      );
    this.#revision = told.revision;
    if (told.type === "put") this.#view.set(told.instance.id, versionOf(told.instance));
    if (told.type === "delete") this.#view.delete(told.id);
    if (told.type === "snapshot") {
      this.#view.clear();
      for (const instance of Object.values(told.services).flat())
        this.#view.set(instance.id, versionOf(instance));
    }
  }
}
