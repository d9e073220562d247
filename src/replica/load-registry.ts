/** Builds a registry out of its records, a part in each turn of the loop: at a million instances all of it takes seconds. */

import { Registry } from "../registry/registry.ts";
import type { StateImage } from "./ports.ts";

export interface RegistryLoad {
  readonly image: StateImage;
  /** See ReplicaSettings. */
  readonly stepsPerTurn: number;
  /** Runs a task in a later turn, where others come before it. */
  readonly inTurn: (task: () => void) => void;
  /** Runs in the turn of the last part. */
  readonly done: (registry: Registry) => void;
}

export function loadInTurns({ image, stepsPerTurn, inTurn, done }: RegistryLoad): void {
  const loading = Registry.beginLoading(image.packedRecords);
  const next = (): void => {
    const registry = loading.next(stepsPerTurn);
    if (registry === null) inTurn(next);
    else done(registry);
  };
  inTurn(next);
}

/** The same as a promise, which is rejected when the records do not make a registry. */
export function loadRegistry(image: StateImage, stepsPerTurn: number): Promise<Registry> {
  return new Promise((resolve, reject) => {
    const inTurn = (task: () => void): void => {
      setImmediate(() => {
        try {
          task();
        } catch (error) {
          reject(error as Error);
        }
      });
    };
    loadInTurns({ image, stepsPerTurn, inTurn, done: resolve });
  });
}
