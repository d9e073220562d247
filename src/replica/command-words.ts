/** What a command is called in a sentence that its client reads. */

import type { Command } from "../registry/commands.ts";

const words: Readonly<Record<Command["kind"], string>> = {
  register: "registration",
  renew: "batch of renewals",
  renewOne: "renewal",
  patch: "change",
  deregister: "deregistration",
  expire: "expiry",
  setOverride: "override",
  setSettings: "change of settings",
  presence: "presence",
  batch: "batch",
};

export function commandInWords({ kind }: Command): string {
  return words[kind];
}
