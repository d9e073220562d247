/** For programs that take a first port and count on from there. */

import { once } from "node:events";
import { createServer } from "node:net";
import { freePorts } from "./free-ports.ts";

const attempts = 20;

/** A port such that it and those at the given distances from it were free a moment ago. */
export async function freePortRun(distances: readonly number[]): Promise<number> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const [first = 0] = await freePorts(1);
    const found = await Promise.all(distances.map((distance) => isFree(first + distance)));
    if (found.every(Boolean)) return first;
  }
  throw new Error(`no free ports at the distances ${distances.join(", ")} in ${attempts} attempts`);
}

async function isFree(port: number): Promise<boolean> {
  if (port > 65_535) return false;
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  await new Promise((resolve) => server.close(resolve));
  return true;
}
