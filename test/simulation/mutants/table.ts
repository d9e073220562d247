/**
 * Bugs to be planted, one line each: the simulator has to find every one of them. Most are bugs that others have shipped; the number is
 * that of the catalogue in this folder's README.md. The production code knows nothing of them: `loader.ts` exchanges the text when the
 * file is loaded.
 */

import type { Mutant } from "./mutant.ts";
import { raftMutants } from "./raft-mutants.ts";
import { replicaMutants } from "./replica-mutants.ts";
import { storageMutants } from "./storage-mutants.ts";

export const mutants: readonly Mutant[] = [...raftMutants, ...storageMutants, ...replicaMutants];
