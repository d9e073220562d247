/**
 * Ports of 127.0.0.1 for what listens, ends and listens there again. They lie below those that systems give to outgoing
 * connections (from 32,768 on under Linux, from 49,152 on elsewhere): such a connection keeps a listener away from its
 * port while it is open and for a minute after, and a suite leaves thousands of them.
 */

import { isPortFree } from "../../scripts/lib/is-port-free.ts";

const lowest = 10_000;
const highest = 32_000;

const attempts = 100;

/** Given to somebody in this process, who may not listen there yet, or may be about to again. */
const given = new Set<number>();

/** So many ports, all different, that nobody used a moment ago. */
export async function freePorts(number: number): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < number) found.push(await freePortRun([0]));
  return found;
}

/** A port such that those at the given distances from it are free, for programs that take a first port and count on from there. */
export async function freePortRun(distances: readonly number[]): Promise<number> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const first = lowest + Math.floor(Math.random() * (highest - lowest));
    const ports = distances.map((distance) => first + distance);
    if (ports.some((port) => given.has(port))) continue;
    for (const port of ports) given.add(port);
    if ((await Promise.all(ports.map(isPortFree))).every(Boolean)) return first;
  }
  throw new Error(`no free ports at the distances ${distances.join(", ")} in ${attempts} attempts`);
}
