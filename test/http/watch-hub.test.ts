import type { ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { defaultWatchLimits, WatchHub, type WatchLimits } from "../../src/http/watch/hub.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { register } from "../support/commands.ts";
import { LocalMember } from "../support/local-member.ts";

const filter = { namespace: "default", services: ["web"], prefixes: [] };

function aHub(limits: Partial<WatchLimits> = {}): { readonly hub: WatchHub; readonly member: LocalMember } {
  const member = new LocalMember();
  const hub = new WatchHub(
    member,
    { ...defaultWatchLimits, ...limits },
    new Metrics({ member: "n1", version: "0.0.0-test" }),
  );
  onTestFinished(() => hub.stop(() => 0));
  return { hub, member };
}

/** Opens a watch in this very turn; gives what has been written to it so far, as "revision type". */
function watch(hub: WatchHub, afterRevision: number | null): () => string[] {
  const output = new PassThrough();
  let text = "";
  output.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  // Of a response the stream uses only what every writable has.
  hub.open(output as unknown as ServerResponse, filter, "ndjson", afterRevision);
  return () =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { readonly revision: number; readonly type: string })
      .map(({ revision, type }) => `${revision} ${type}`);
}

const delivered = async (): Promise<void> => {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

test("a watch that opens between a change and its delivery gets the change once", async () => {
  const { hub, member } = aHub();
  const before = watch(hub, null);
  member.commit(register("a"));
  const fresh = watch(hub, null);
  const resumed = watch(hub, 0);
  member.commit(register("b"));
  const late = watch(hub, null);
  await delivered();
  expect(before()).toEqual(["0 snapshot", "1 put", "2 put"]);
  expect(fresh()).toEqual(["1 snapshot", "2 put"]);
  expect(resumed()).toEqual(["1 put", "1 sync", "2 put"]);
  expect(late()).toEqual(["2 snapshot"]);
});

test("changes of one turn reach a stream together, in order", async () => {
  const { hub, member } = aHub();
  const watching = watch(hub, null);
  for (let i = 0; i < 20; i += 1) member.commit(register(`i${i}`));
  expect(watching()).toEqual(["0 snapshot"]);
  await delivered();
  expect(watching()).toEqual(["0 snapshot", ...Array.from({ length: 20 }, (_, i) => `${i + 1} put`)]);
});

test("a member that skips changes does not lead to a stream that skips them", async () => {
  const { hub, member } = aHub();
  const watching = watch(hub, null);
  await delivered();
  member.isSilent = true;
  member.commit(register("a"));
  member.commit(register("b"));
  member.isSilent = false;
  member.commit(register("c"));
  await delivered();
  expect(watching()).toEqual(["0 snapshot", "1 put", "2 put", "3 put"]);
});

test("a member that moves on and tells of nothing, as when it has installed a snapshot, brings its watches along at once", async () => {
  const { hub, member } = aHub();
  const watching = watch(hub, null);
  member.isSilent = true;
  member.commit(register("a"));
  member.isSilent = false;
  member.tell([]);
  await delivered();
  expect(watching()).toEqual(["0 snapshot", "1 put"]);
});

test("a member that tells of a change, and moves on in the same turn without a word, brings its watches along at once", async () => {
  const { hub, member } = aHub();
  const watching = watch(hub, null);
  member.commit(register("a"));
  member.isSilent = true;
  member.commit(register("b"));
  member.isSilent = false;
  member.tell([]);
  await delivered();
  expect(watching()).toEqual(["0 snapshot", "1 put", "2 put"]);
});

test("what a member skips between two changes of one turn is not skipped by its watches", async () => {
  const { hub, member } = aHub();
  const watching = watch(hub, null);
  member.commit(register("a"));
  member.isSilent = true;
  member.commit(register("b"));
  member.isSilent = false;
  member.tell([]);
  member.commit(register("c"));
  await delivered();
  expect(watching()).toEqual(["0 snapshot", "1 put", "2 put", "3 put"]);
});

test("beyond missedChangesMax a watch gets a snapshot in place of what it has missed", async () => {
  const { hub, member } = aHub({ missedChangesMax: 3 });
  const watching = watch(hub, null);
  const miss = async (ids: readonly string[]): Promise<void> => {
    member.isSilent = true;
    for (const id of ids) member.commit(register(id));
    member.isSilent = false;
    member.tell([]);
    await delivered();
  };
  await miss(["a", "b", "c"]);
  await miss(["d", "e", "f", "g"]);
  expect(watching()).toEqual(["0 snapshot", "1 put", "2 put", "3 put", "7 snapshot"]);
});

test("a member that stops between a change and its delivery does not send a client back to before what it has", async () => {
  const { hub, member } = aHub();
  const before = watch(hub, null);
  member.commit(register("a"));
  const fresh = watch(hub, null);
  hub.stop(() => 0);
  await delivered();
  expect(before()).toEqual(["0 snapshot", "0 goaway"]);
  expect(fresh()).toEqual(["1 snapshot", "1 goaway"]);
});

test("a watch that has waited for its cursor while the member stopped is ended as the others are", async () => {
  const { hub, member } = aHub();
  member.commit(register("a"));
  await delivered();
  hub.stop(() => 0);
  const late = watch(hub, 0);
  await delivered();
  expect(late()).toEqual(["1 put", "1 sync", "1 goaway"]);
});
