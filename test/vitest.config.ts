// Three projects: unit (fast, in one process), simulation (seeds), cluster (real processes, one file at a time).
// Run one with `npm run unit -- raft` (files whose path contains "raft"), or all with ./scripts/test.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

export default defineConfig({
  root,
  test: {
    root,
    passWithNoTests: true,
    // Failures are read by people: the whole difference, and the line that failed.
    diff: { expand: false, truncateThreshold: 0 },
    // Left over from an earlier test, a spy or a variable makes the next test lie.
    restoreMocks: true,
    unstubEnvs: true,
    // Bounds for what hangs, not for what is slow: a machine may be many times slower than the one that a test was written on.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 60_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/simulation/**", "test/cluster/**", "test/fixtures/**"],
        },
      },
      {
        extends: true,
        test: { name: "simulation", include: ["test/simulation/**/*.test.ts"] },
      },
      {
        extends: true,
        test: {
          name: "cluster",
          include: ["test/cluster/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
        },
      },
    ],
  },
});
