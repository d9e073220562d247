// The checksums of all records by key, beside a plain map.

import { expect, test } from "vitest";
import { fingerprint } from "../../src/registry/hash.ts";
import { RecordSums } from "../../src/storage/state/record-sums.ts";
import { seededRandom } from "../support/random.ts";

test("after any puts and deletes every key has the sum that a map would have, also when the places were rebuilt", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 100_000);
  const random = seededRandom(seed);
  const sums = new RecordSums();
  const plain = new Map<string, number>();
  for (let i = 0; i < 40_000; i += 1) {
    const key = `instance/default/web/a${Math.floor(random() * 6_000)}`;
    if (random() < 0.4) {
      sums.delete(key);
      plain.delete(key);
    } else {
      const sum = Math.floor(random() * 2 ** 32) | 0;
      sums.set(key, sum);
      plain.set(key, sum);
    }
  }
  const replay = `replay: SEED=${seed} npm run unit -- record-sums`;
  expect(sums.count, replay).toBe(plain.size);
  for (let i = 0; i < 6_000; i += 1) {
    const key = `instance/default/web/a${i}`;
    expect(sums.get(key), `${key}; ${replay}`).toBe(plain.get(key) ?? null);
  }
});

test("keys that were chosen to collide in the plain hash are kept apart", () => {
  const [left = "", right = ""] = [
    "anac2enlcdrb7qczo58cl8mg2d3bntdrcbajz71l6oa6jv65emsi0zuxjdmbl8w2auz5vp9ddocwogsc4lvxpz",
    "anac2e6wbm3b7qczof4yp8mg2d3bntdtrqqr3tgv0gbfg4sm09si0zuxemcd08w2auz5vp9qegfkwjqahetq8a",
  ].map((id) => `instance/default/web/${id}`);
  expect(fingerprint(left, null)).toEqual(fingerprint(right, null));
  const sums = new RecordSums();
  sums.set(left, 1);
  sums.set(right, 2);
  expect([sums.get(left), sums.get(right), sums.count]).toEqual([1, 2, 2]);
});
