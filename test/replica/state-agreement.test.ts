import { expect, test } from "vitest";
import type { Checkpoint } from "../../src/replica/ports.ts";
import { disagreementOf } from "../../src/replica/state-agreement.ts";

const at = (...pairs: readonly (readonly [number, string])[]): Checkpoint[] =>
  pairs.map(([index, hash]) => ({ index, hash }));
const voters = ["n1", "n2", "n3"];

test.each([
  ["all agree", at([8, "a"]), { n2: at([8, "a"]), n3: at([8, "a"]) }, null],
  ["no index in common", at([8, "a"]), { n2: at([16, "b"]), n3: at([16, "b"]) }, null],
  ["the others agree without us", at([8, "a"]), { n2: at([8, "b"]), n3: at([8, "b"]) }, true],
  ["another one is odd", at([8, "a"]), { n2: at([8, "b"]), n3: at([8, "a"]) }, false],
  ["only one other is heard", at([8, "a"]), { n2: at([8, "b"]) }, false],
  ["learners are no majority", at([8, "a"]), { n4: at([8, "b"]), n5: at([8, "b"]) }, false],
  ["an older index counts too", at([8, "a"], [16, "c"]), { n2: at([8, "b"]), n3: at([8, "b"]) }, true],
] as const)("%s", (_what, own, others, isOddOneOut) => {
  const found = disagreementOf(own, new Map(Object.entries(others)), voters);
  expect(found?.isOddOneOut ?? null).toBe(isOddOneOut);
  expect(found === null || (found.own === "a" && found.index === 8 && found.others === "b")).toBe(true);
});
