import type { NodeId } from "../../../src/raft/types.ts";
import type { SimMember } from "../world/member.ts";

/** How long is waited for a transfer; nobody looks at what came of it. */
const waitMs = 5_000;

/** Asks a member to hand its leadership to `to`, or to whom it likes. */
export function askToHandOver({ process, replica }: SimMember, to: NodeId | null): void {
  process?.run(() => replica?.transferLeadership(to, waitMs, () => {}));
}
