/** Clients of a cluster under test: they ask any member, go on at another one when that fails, and remember what was acknowledged. */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestCluster } from "./cluster.ts";

export interface Registration {
  readonly service: string;
  readonly id: string;
  readonly ttlMs?: number;
}

/** What a member acknowledged. */
export interface Acknowledged extends Registration {
  readonly revision: number;
}

export function instancePath({ service, id }: Registration): string {
  return `/v1/services/${service}/instances/${id}`;
}

/** How long one registration is tried, over all members, before the test gives up. */
const tryForMs = 60_000;

/**
 * Registers at some running member; tries the others, with the same idempotency key, until one acknowledges. `turn` decides who is asked
 * first, so that a row of registrations goes over all members.
 */
export async function register(cluster: TestCluster, wanted: Registration, turn = 0): Promise<Acknowledged> {
  const { service, id, ttlMs = 3_600_000 } = wanted;
  const headers = { "idempotency-key": `${service}-${id}` };
  const body = { host: "127.0.0.1", port: 80, ttlMs, session: "test" };
  let last = "";
  const deadline = performance.now() + tryForMs;
  for (let attempt = 0; performance.now() < deadline; attempt += 1) {
    const members = cluster.running;
    const member = members[(turn + attempt) % members.length];
    if (member === undefined) throw new Error("no member runs");
    try {
      const answer = await cluster.request<{ revision: number }>(
        member,
        "PUT",
        instancePath(wanted),
        body,
        headers,
      );
      if (answer.status === 200 || answer.status === 201)
        return { ...wanted, revision: answer.body.revision };
      last = `${member.id}: ${answer.status} ${JSON.stringify(answer.body)}`;
    } catch (error) {
      last = `${member.id}: ${String((error as Error).cause ?? error)}`;
    }
    await sleep(20);
  }
  throw new Error(`${service}/${id} was not acknowledged within ${tryForMs} ms; the last: ${last}`);
}

/** Registers all, with so many clients at once. `onAcknowledged` hears how many are done. */
export async function registerAll(
  cluster: TestCluster,
  wanted: readonly Registration[],
  options: { readonly clients: number; readonly onAcknowledged?: (count: number) => void },
): Promise<readonly Acknowledged[]> {
  const acknowledged: Acknowledged[] = [];
  const queue = wanted.map((registration, turn) => ({ registration, turn }));
  const client = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      acknowledged.push(await register(cluster, next.registration, next.turn));
      options.onAcknowledged?.(acknowledged.length);
    }
  };
  await Promise.all(Array.from({ length: options.clients }, client));
  return acknowledged;
}

export interface ListAnswer {
  readonly revision: number;
  readonly instances: readonly { readonly id: string; readonly revision: number }[];
}

/** The ids that a member lists, and the service's revision there. */
export async function listAt(
  cluster: TestCluster,
  memberId: string,
  service: string,
  query = "status=any",
): Promise<{ readonly revision: number; readonly ids: readonly string[] }> {
  const path = `/v1/services/${service}/instances?${query}`;
  const answer = await cluster.request<ListAnswer>(cluster.member(memberId), "GET", path);
  if (answer.status !== 200) throw new Error(`${memberId}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return { revision: answer.body.revision, ids: answer.body.instances.map((instance) => instance.id) };
}
