/** Bugs of the driver and the state machine: outcomes, reads, snapshots, leases, idempotency, and watches. */

import type { Mutant } from "./mutant.ts";

export const replicaMutants: readonly Mutant[] = [
  // Outcomes.
  {
    name: "a write that timed out is called not applied",
    catalogue: "B89",
    file: "replica/proposals.ts",
    find: `      this.#appended.delete(index);
      proposal.end({ kind: "unknown" });`,
    replace: `      this.#appended.delete(index);
      proposal.end({ kind: "rejected", reason: "notLeader" });`,
  },
  {
    name: "whatever is applied at an index answers its proposal",
    catalogue: "B89",
    file: "replica/proposals.ts",
    find: `if (proposal.entry.term === entry.term) proposal.end({ kind: "committed", entry, results });`,
    replace: `if (results.length === proposal.batch.envelopes.length) proposal.end({ kind: "committed", entry, results });`,
  },
  {
    name: "what was overwritten here counts as never applied",
    catalogue: "B89",
    file: "replica/proposals.ts",
    find: `this.#appended.get(entry.index)?.end({ kind: "unknown" });`,
    replace: `this.#appended.get(entry.index)?.end({ kind: "rejected", reason: "termChanged" });`,
  },
  {
    name: "an earlier attempt is forgotten in the answer",
    catalogue: "B89",
    file: "replica/pending-write.ts",
    find: `error: write.mayBeApplied ? unknownOutcome(write, error.message) : error });`,
    replace: `error });`,
  },
  {
    name: "a broken forward is sent again, key or no key",
    catalogue: "B88",
    file: "replica/write-router.ts",
    find: "return this.#unknown(writes, `the connection to the leader ${leader} broke: ${outcome.reason}`);",
    replace: "return this.#refused(writes, outcome.reason);",
  },
  {
    name: "a leader refuses a forward whose fate it does not know",
    catalogue: null,
    file: "replica/write-router.ts",
    find: `return { kind: "unknown" };`,
    replace: `return { kind: "rejected", reason: "notLeader", leader };`,
  },
  {
    name: "unknown writes are sent again, key or no key",
    catalogue: "B88",
    file: "replica/write-router.ts",
    find: `return idempotencyKey !== null || isPlainRenewal;`,
    replace: `return true;`,
  },
  {
    name: "a write is answered before this member has applied it",
    catalogue: "B71",
    file: "replica/write-router.ts",
    find: `if (!write.awaitApplied) return this.#end(write, { kind: "result", result });`,
    replace: `if (write.awaitApplied) return this.#end(write, { kind: "result", result });`,
  },
  {
    name: "an entry's own batch is used although another took its place",
    catalogue: "B91",
    file: "replica/proposals.ts",
    find: `return proposal !== undefined && proposal.entry.term === entry.term ? proposal.batch : null;`,
    replace: `return proposal !== undefined ? proposal.batch : null;`,
  },
  // Reads.
  {
    name: "a confirmed read does not wait for the state machine",
    catalogue: "B71",
    file: "replica/reads.ts",
    find: `this.#options.appliedIndex.wait(index, read.deadlineMs, (reached) => {`,
    replace: `this.#options.appliedIndex.wait(0, read.deadlineMs, (reached) => {`,
  },
  {
    name: "minRevision is not waited for",
    catalogue: null,
    file: "replica/reads.ts",
    find: `this.#options.revision.wait(minRevision, deadlineMs, (reached) => {`,
    replace: `this.#options.revision.wait(minRevision - 1, deadlineMs, (reached) => {`,
  },
  {
    name: "a read at the deadline passes for confirmed",
    catalogue: "B74",
    file: "replica/reads.ts",
    find: `if (isOutlived(read)) read.end(notConfirmed("no leader confirmed it in time"));`,
    replace: `if (isOutlived(read)) read.end(null);`,
  },
  {
    name: "a heartbeat counts as fresh before its commit index is applied",
    catalogue: null,
    file: "raft/staleness.ts",
    find: `if (index <= appliedIndex) this.#asOfMs = Math.max(this.#asOfMs ?? asOfMs, asOfMs);`,
    replace: `if (index >= 0) this.#asOfMs = Math.max(this.#asOfMs ?? asOfMs, asOfMs);`,
  },
  // Snapshots and the image.
  {
    name: "an installed snapshot leaves a conflicting log beside it",
    catalogue: "B43",
    file: "replica/snapshot-installation.ts",
    find: `const keepTail = core.termAt(meta.last.index) === meta.last.term;`,
    replace: `const keepTail = true;`,
  },
  {
    name: "an outdated snapshot is installed",
    catalogue: null,
    file: "replica/snapshot-installation.ts",
    find: `if (base.last.index <= applier.base.last.index) return goOnWriting();`,
    replace: `if (base.last.index <= 0) return goOnWriting();`,
  },
  {
    name: "a second image is received while one is being installed",
    catalogue: null,
    file: "replica/snapshot-fetch.ts",
    find: `if (this.#isUnderWay) return this.#options.onFailed(meta);`,
    replace: ``,
  },
  {
    name: "what does not fit into a turn of a load is left out",
    catalogue: null,
    file: "registry/load.ts",
    find: `if (this.#phase.next().done !== true) continue;`,
    replace: `if (this.#phase.next().done !== true && left > 1) continue;`,
  },
  {
    name: "an image that was not synced lets the log go",
    catalogue: "B45",
    file: "replica/image-writer.ts",
    find: `    if (synced) {
      this.#syncedIndex = index;`,
    replace: `    if (true) {
      this.#syncedIndex = index;`,
  },
  {
    name: "the membership is missing from the image",
    catalogue: "B47",
    file: "replica/applier.ts",
    find: `const isMembership = entry.kind === "membership";`,
    replace: `const isMembership = entry.index < 0 && entry.kind === "membership";`,
  },
  {
    name: "the image is written on while another takes its place",
    catalogue: "B46",
    file: "replica/image-writer.ts",
    find: `if (this.#isWriting || this.#isPaused || this.#failure !== null) return;`,
    replace: `if (this.#isWriting || this.#failure !== null) return;`,
  },
  // Leases.
  {
    name: "a lease runs out half a second early",
    catalogue: "B85",
    file: "registry/apply/expire.ts",
    find: `if (due === null || due.at > state.now) break;`,
    replace: `if (due === null || due.at > state.now + 500) break;`,
  },
  {
    name: "registering again does not renew",
    catalogue: "B85",
    file: "registry/apply/life.ts",
    find: `  renewLease(applying, registration, via);
  if (registration.suspicion === null) return false;`,
    replace: `  if (registration.suspicion === null) return false;`,
  },
  {
    name: "a renewal of a lease that is over is acknowledged",
    catalogue: null,
    file: "replica/renewals.ts",
    find: `const ttlMs = ttls[position] ?? 0;`,
    replace: `const ttlMs = ttls[position] || 1000;`,
  },
  {
    name: "leases are missing from the image",
    catalogue: null,
    file: "registry/leases.ts",
    find: `    this.#changed.put(block);
  }

  #blockOf(`,
    replace: `  }

  #blockOf(`,
  },
  {
    name: "nothing ever expires",
    catalogue: "B86",
    file: "replica/expiry.ts",
    find: `if (deadline === null || deadline > this.#options.clusterTime()) return;`,
    replace: `return;`,
  },
  {
    name: "a member expires once, and never again",
    catalogue: null,
    file: "replica/expiry.ts",
    find: `      this.#isUnderWay = false;`,
    replace: ``,
  },
  // Where members are reached.
  {
    name: "a member that has moved says so only once, heard or not",
    catalogue: null,
    file: "replica/own-addresses.ts",
    find: `scheduler.after(settings.announceRetryMs, () => (this.#isWaiting = false));`,
    replace: `if (error === null) scheduler.after(settings.announceRetryMs, () => (this.#isWaiting = false));`,
  },
  {
    name: "a member that was heard once never says again where it is",
    catalogue: null,
    file: "replica/own-addresses.ts",
    find: `scheduler.after(settings.announceRetryMs, () => (this.#isWaiting = false));`,
    replace: `if (error !== null) scheduler.after(settings.announceRetryMs, () => (this.#isWaiting = false));`,
  },
  // Who leads.
  {
    name: "a leader that is always late goes on leading",
    catalogue: null,
    file: "replica/succession.ts",
    find: `if (lateMs === null) return;`,
    replace: `return;`,
  },
  {
    name: "a leader whose disk hangs goes on leading",
    catalogue: "B79",
    file: "replica/health.ts",
    find: `const own = { writeMs: this.#seenTimes.usualMs, pendingMs: this.#pendingMs };`,
    replace: `const own = { writeMs: this.#seenTimes.usualMs, pendingMs: 0 };`,
  },
  // The state machine.
  {
    name: "an idempotency key is not looked up",
    catalogue: "B88",
    file: "registry/apply/batch.ts",
    find: `  if (kept !== null) {`,
    replace: `  if (kept !== null && kept.key === "") {`,
  },
  {
    name: "kept results are missing from the image",
    catalogue: "B88",
    file: "registry/idempotency.ts",
    find: `    this.#changed.put(kept);`,
    replace: ``,
  },
  {
    name: "events are missing from the image",
    catalogue: "B80",
    file: "registry/events.ts",
    find: `else puts.push([eventKey(revision), pages.recordValue(revision)]);`,
    replace: ``,
  },
  {
    name: "a change that comes alone is not told",
    catalogue: null,
    file: "replica/applier.ts",
    find: `if (events.length > 0) this.#options.onEvents(events);`,
    replace: `if (events.length > 1) this.#options.onEvents(events);`,
  },
  {
    name: "a watch can be resumed only where little was missed",
    catalogue: null,
    file: "registry/events.ts",
    find: `if (missed > this.count) return null;`,
    replace: `if (missed > 2) return null;`,
  },
  {
    name: "a watch that is resumed skips a change",
    catalogue: null,
    file: "registry/events.ts",
    find: `return Array.from({ length: missed }, (_, i) => this.#pages.event(this.#next - missed + i));`,
    replace: `return Array.from({ length: missed - 1 }, (_, i) => this.#pages.event(this.#next - missed + i + 1));`,
  },
  // What instances declare.
  {
    name: "a patch leaves tags as they are",
    catalogue: null,
    file: "registry/declaration.ts",
    find: `tags: canonicalTags(merged(changes.tags, declared.tags, defaults.tags)),`,
    replace: `tags: declared.tags,`,
  },
  {
    name: "other metadata is no change",
    catalogue: null,
    file: "registry/declaration.ts",
    find: `left.metadata.every((pair, i) => isSameList(pair, right.metadata[i] ?? []))`,
    replace: `true`,
  },
  {
    name: "what many have in common is told apart by its length alone",
    catalogue: null,
    file: "registry/in-common.ts",
    find: `if (kept?.read === read && isSame(kept.bytes, bytes, start, end)) return kept.value as Value;`,
    replace: `if (kept?.read === read && kept.bytes.length === end - start) return kept.value as Value;`,
  },
];
