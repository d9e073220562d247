import type { WriteEnd } from "../../../src/replica/pending-write.ts";
import type { SimMember } from "../world/member.ts";
import type { NemesisWorld } from "./nemesis.ts";

/**
 * Asks a member for a write, as a client would that waits long for its answer and does not want it done twice. What the member answers, if
 * it does, must be true.
 */
export function writeAt(world: NemesisWorld, member: SimMember, name: string, timeoutMs: number): void {
  const { process, replica } = member;
  const { checkers } = world;
  if (process === null || replica === null) return;
  checkers.outcomes.begun(name, false);
  world.asked(timeoutMs);
  const command = {
    kind: "deregister",
    namespace: "default",
    service: "ambush",
    id: name,
    incarnation: null,
  } as const;
  const ended = (end: WriteEnd): void => {
    checkers.stepped(member);
    if (end.kind === "error") checkers.outcomes.refused(name, end.error);
    else checkers.outcomes.answered(name, end.result);
  };
  process.run(() => replica.submit(command, { timeoutMs, idempotencyKey: null, by: name }, ended));
}
