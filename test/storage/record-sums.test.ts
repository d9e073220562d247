// The checksums of all records by key, beside a plain map.

import { expect, test } from "vitest";
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
