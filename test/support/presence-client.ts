/**
 * A client process of its own whose instances hang on open connections: so that it can be killed without a word. Run with the URL of a
 * member and the instances, one `service/id/incarnation` each; prints "attached N" when N connections are open, and stays.
 */

import { Agent, request } from "node:http";

const [url = "", lingerMs = "2000", ...instances] = process.argv.slice(2);
const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
/** How long to wait after a refusal, which comes from a member that has too much to do or no leader. */
const againMs = 50;
let attached = 0;

for (const text of instances) {
  const [service, id, incarnation] = text.split("/");
  attach({ service, id, incarnation: Number(incarnation) });
}

function attach(instance: object): void {
  const outgoing = request(new URL("/v1/presence", url), {
    method: "POST",
    agent,
    headers: { "Content-Type": "application/x-ndjson" },
  });
  outgoing.write(`${JSON.stringify({ instances: [instance], lingerMs: Number(lingerMs) })}\n`);
  const timer = setInterval(() => outgoing.write("\n"), 5_000);
  const end = (): void => clearInterval(timer);
  outgoing.on("error", end).on("response", (response) => {
    response.on("error", end).on("close", end);
    if (response.statusCode === 503 || response.statusCode === 504) {
      outgoing.destroy();
      setTimeout(() => attach(instance), againMs);
      return;
    }
    response.once("data", (line: Buffer) => {
      if (!line.includes('"attached":[true]')) throw new Error(`not attached: ${line.toString()}`);
      attached += 1;
      if (attached === instances.length) console.log(`attached ${attached}`);
    });
  });
}
