import { expect, test } from "vitest";
import type { Answer, Call } from "../../src/client/caller.ts";
import { Lease } from "../../src/client/lease.ts";
import { Renewer, type Renewable } from "../../src/client/renewer.ts";
import type { RenewalOutcome, RenewalsAnswer } from "../../src/client/types.ts";
import { HandClock } from "../support/hand-clock.ts";

type Respond = (ids: readonly string[]) => RenewalOutcome[];

const allWell: Respond = (ids) => ids.map(() => ({ ok: true, expiresInMs: 30_000 }));

function start(respond: Respond = allWell, renewAfterMs = 10_000, takesMs = 0) {
  const clock = new HandClock();
  const sent: { readonly at: number; readonly ids: readonly string[]; readonly call: Call }[] = [];
  const heard: string[] = [];
  const renewer = new Renewer({
    clock,
    random: () => 0,
    send: async (call) => {
      const { renewals } = call.body as { renewals: { id: string }[] };
      const ids = renewals.map(({ id }) => id);
      const sentAt = clock.now();
      sent.push({ at: sentAt, ids, call });
      const results = respond(ids);
      if (takesMs > 0) await new Promise<void>((resolve) => clock.after(takesMs, resolve));
      return { body: { results, renewAfterMs }, sentAt } as unknown as Answer<RenewalsAnswer>;
    },
  });
  const lease = (id: string, ttlMs = 30_000): Renewable => ({
    name: { namespace: "default", service: "echo", id },
    incarnation: () => 7,
    ttlMs: () => ttlMs,
    renewed: (sentAt) => heard.push(`${id} renewed ${sentAt}`),
    refused: (code) => heard.push(`${id} ${code}`),
  });
  return { clock, renewer, lease, sent, heard };
}

test("a lease is renewed when its time has come, counted from the sending of the last renewal", async () => {
  const { clock, renewer, lease, sent, heard } = start(allWell, 10_000, 400);
  renewer.add(lease("a"), 0, 9_000);
  await clock.advance(8_999);
  expect(sent).toEqual([]);
  await clock.advance(21_000);
  expect(sent.map(({ at }) => at)).toEqual([9_000, 19_000, 29_000]);
  expect(heard).toEqual(["a renewed 9000", "a renewed 19000", "a renewed 29000"]);
});

test("leases that are nearly due go along; leases of another length go their own way", async () => {
  const { clock, renewer, lease, sent } = start();
  renewer.add(lease("a"), 0, 10_000);
  renewer.add(lease("b"), 0, 11_000);
  renewer.add(lease("c"), 0, 12_000);
  renewer.add(lease("short", 3_000), 0, 10_050);
  await clock.advance(10_000);
  expect(sent.map(({ ids }) => ids)).toEqual([["a", "b"], ["short"]]);
});

test("10,001 leases are renewed in requests that the API takes", async () => {
  const { clock, renewer, lease, sent, heard } = start();
  for (let i = 0; i < 10_001; i += 1) renewer.add(lease(`i${i}`), 0, 10_000);
  await clock.advance(10_000);
  expect(sent.map(({ ids }) => ids.length)).toEqual([5_000, 5_000, 1]);
  expect(heard).toHaveLength(10_001);
});

test("each lease hears its own result, and a refused one is not renewed again", async () => {
  const { clock, renewer, lease, sent, heard } = start((ids) =>
    ids.map((id) => {
      if (id === "a") return { ok: false, code: "superseded" };
      if (id === "b") return { ok: false, code: "not_registered" };
      return { ok: true, expiresInMs: 30_000 };
    }),
  );
  for (const id of ["a", "b", "c"]) renewer.add(lease(id), 0, 10_000);
  await clock.advance(20_000);
  expect(heard).toEqual(["a superseded", "b not_registered", "c renewed 10000", "c renewed 20000"]);
  expect(sent.at(-1)?.ids).toEqual(["c"]);
});

test("without an acknowledgement the renewal is soon tried again, without end", async () => {
  let isDown = true;
  const { clock, renewer, lease, sent, heard } = start((ids) => {
    if (isDown) throw new Error("nobody answers");
    return allWell(ids);
  });
  renewer.add(lease("a"), 0, 10_000);
  await clock.advance(9_999);
  // The draw is 0, so it is tried again at once: some tries happen while the clock stands still.
  isDown = false;
  await clock.advance(1);
  expect(heard).toEqual(["a renewed 10000"]);
  expect(sent).toHaveLength(1);
});

test("a renewal that comes back for a lease that was removed meanwhile is forgotten", async () => {
  const { clock, renewer, lease, sent, heard } = start(allWell, 10_000, 500);
  const a = lease("a");
  renewer.add(a, 0, 10_000);
  await clock.advance(10_100);
  renewer.remove(a);
  await clock.advance(60_000);
  expect(sent).toHaveLength(1);
  expect(heard).toEqual([]);
});

test("a short lease does not wait long for a member that hangs", async () => {
  const { clock, renewer, lease, sent } = start();
  renewer.add(lease("short", 1_000), 0, 300);
  renewer.add(lease("long", 60_000), 0, 300);
  await clock.advance(300);
  expect(sent.map(({ call }) => call.attemptTimeoutMs)).toEqual([250, 2_000]);
});

test("a result that says neither yes nor no is soon asked for again", async () => {
  let tries = 0;
  const { clock, renewer, lease, heard } = start((ids) =>
    tries++ === 0 ? ids.map(() => ({ ok: false, code: "unavailable" })) : allWell(ids),
  );
  renewer.add(lease("a"), 0, 10_000);
  await clock.advance(10_000);
  expect(heard).toEqual(["a renewed 10000"]);
});

test("a lease lasts a TTL from the sending of what was acknowledged last", async () => {
  const clock = new HandClock();
  const ends: number[] = [];
  const lease = new Lease(clock, () => ends.push(clock.now()));
  expect(lease.remainingMs()).toBe(0);
  await clock.advance(100);
  lease.granted(40, 1_000);
  expect(lease.remainingMs()).toBe(940);
  await clock.advance(500);
  lease.granted(590, 1_000);
  await clock.advance(5_000);
  expect(ends).toEqual([1_590]);
  expect(lease.remainingMs()).toBe(0);
});

test("an acknowledgement that was overtaken does not shorten the lease", () => {
  const clock = new HandClock();
  const lease = new Lease(clock, () => {});
  lease.granted(500, 1_000);
  lease.granted(100, 1_000);
  expect(lease.remainingMs()).toBe(1_500);
});

test("a lease that was dropped does not end once more", async () => {
  const clock = new HandClock();
  let ends = 0;
  const lease = new Lease(clock, () => (ends += 1));
  lease.granted(0, 1_000);
  lease.dropped();
  await clock.advance(5_000);
  expect([ends, lease.remainingMs()]).toEqual([0, 0]);
});
