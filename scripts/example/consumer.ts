// Calls the echo service again and again, and says every second how that went.
//
// Usage: scripts/example/consumer --help
//
// Ends after N calls, or on Ctrl-C; the exit status is 1 if a call failed that a retry at another provider did not save.
// The last line is a summary in JSON.

import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "../../src/client/registry.ts";
import { readOptions } from "./options.ts";

const values = readOptions(
  "Usage: scripts/example/consumer [--calls N] [--rate PER_SECOND] [--service NAME] [--servers URL,URL,...]",
  {
    calls: "0",
    rate: "50",
    service: "echo",
    servers: "http://127.0.0.1:7401,http://127.0.0.1:7402,http://127.0.0.1:7403",
  },
);
const callsMax = Number(values.calls) || Number.POSITIVE_INFINITY;
const intervalMs = 1000 / Number(values.rate);

/** Since the last line, and in all. */
interface Count {
  calls: number;
  retries: number;
  errors: number;
  readonly byProvider: Map<string, number>;
}
const newCount = (): Count => ({ calls: 0, retries: 0, errors: 0, byProvider: new Map() });
let second = newCount();
const total = newCount();

let attempts = 0;
const countingFetch: typeof fetch = (...request) => {
  attempts += 1;
  return fetch(...request);
};

const registry = new Registry(
  { servers: values.servers.split(","), clientName: "example-consumer" },
  { fetch: countingFetch },
);
const echo = registry.service(values.service, { policy: "roundRobin", attemptTimeoutMs: 1_000 });
const start = performance.now();

console.log(`waiting for an instance of ${values.service} ...`);
await echo.ready();
echo.on("change", (instances) =>
  print(`now listed: ${instances.map(({ id }) => id).join(", ") || "nobody"}`),
);
echo.on("stale", ({ ageMs }) => print(`the list may be old: no word for ${Math.round(ageMs / 1000)} s`));
echo.on("fresh", () => print("the list is up to date again"));

let isEnding = false;
process.once("SIGINT", () => (isEnding = true));
process.once("SIGTERM", () => (isEnding = true));
print(`now listed: ${echo.instances.map(({ id }) => id).join(", ")}`);
const report = setInterval(printSecond, 1000);

for (let next = performance.now(); !isEnding && total.calls < callsMax; next += intervalMs) {
  await callOnce();
  const pauseMs = next + intervalMs - performance.now();
  if (pauseMs > 0) await sleep(pauseMs);
  // Time that was lost is not made up for: a consumer that was held up does not then fire a burst.
  else next = performance.now() - intervalMs;
}

clearInterval(report);
if (second.calls > 0) printSecond();
const { calls, retries, errors } = total;
console.log(JSON.stringify({ calls, retries, errors, byProvider: Object.fromEntries(total.byProvider) }));
process.exitCode = errors === 0 ? 0 : 1;
await registry.close();

async function callOnce(): Promise<void> {
  attempts = 0;
  let provider = "";
  try {
    const response = await echo.fetch("/hello");
    provider = (await response.text()).split(" ")[0] ?? "";
    if (!response.ok) throw new Error(`${provider} answered ${response.status}`);
  } catch (error) {
    print(`a call failed: ${error instanceof Error ? error.message : String(error)}`);
    provider = "";
  }
  for (const count of [second, total]) {
    count.calls += 1;
    count.retries += Math.max(0, attempts - 1);
    if (provider === "") count.errors += 1;
    else count.byProvider.set(provider, (count.byProvider.get(provider) ?? 0) + 1);
  }
}

function printSecond(): void {
  const { calls, retries, errors, byProvider } = second;
  const shares = [...byProvider]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, count]) => `${id} ${count}`);
  print(`${calls} calls  ${shares.join("  ")}  retries ${retries}  errors ${errors}`);
  second = newCount();
}

function print(text: string): void {
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${text}`);
}
