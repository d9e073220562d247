/**
 * Finds out, before a member with data starts, that its data folder is of another cluster than the members it was told about. Each side would
 * refuse the other anyway; but then the operator sees a member that waits for ever.
 */

import type { BootstrapClient, BootstrapPeer } from "./bootstrap-port.ts";
import type { Scheduler } from "./ports.ts";

/** Longer than a living member takes to answer; a start with members away must not be delayed by them. */
const answerMs = 500;

/**
 * The cluster that most of the listed members belong to, when it is another than `clusterId` and none of those who answer belongs to that.
 * Null otherwise, and when too few answer.
 */
export async function foreignCluster(
  clusterId: string,
  options: {
    readonly others: readonly BootstrapPeer[];
    readonly client: BootstrapClient;
    readonly scheduler: Scheduler;
  },
): Promise<string | null> {
  const { others, client, scheduler } = options;
  const found: string[] = [];
  const asked = others.map(async (peer) => {
    const outcome = await client.identity(peer);
    if (outcome.kind === "answer" && outcome.answer.clusterId !== null) found.push(outcome.answer.clusterId);
  });
  await new Promise<void>((resolve) => {
    const cancel = scheduler.after(answerMs, resolve);
    void Promise.all(asked).then(() => {
      cancel();
      resolve();
    });
  });
  const [first] = found;
  const isMajority = found.length > (others.length + 1) / 2;
  return first !== undefined && isMajority && found.every((one) => one === first && one !== clusterId)
    ? first
    : null;
}
