import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Api } from "../../src/cli/api.ts";
import { collectedAtOnceMax, giveBackMemory } from "../../src/observability/give-back-memory.ts";
import { fakeApi } from "./fake-api.ts";

test("a download is whole also when memory is collected before anybody reads it", async () => {
  const body = "x".repeat(100_000);
  const { url } = await fakeApi(() => ({ body }));
  const parts = await new Api({ servers: [url], timeoutMs: 60_000, token: null }).download("/backup");
  for (let turn = 0; turn < 10; turn += 1) {
    giveBackMemory(collectedAtOnceMax);
    // Whoever waits for the end of an object hears of it in a later turn of the loop.
    await sleep(1);
  }
  let length = 0;
  for await (const part of parts) length += part.byteLength;
  expect(length).toBe(body.length);
});
