import fc from "fast-check";
import { expect, test } from "vitest";
import {
  batchFromArray,
  batchToArray,
  CommandFormatError,
  commandToArray,
} from "../../src/registry/command-codec.ts";
import { commandVersion, type Command, type CommandBatch } from "../../src/registry/commands.ts";
import { Registry } from "../../src/registry/registry.ts";
import { UnknownCommandError } from "../../src/registry/unknown-command.ts";
import { aKey, register } from "../support/commands.ts";
import { checkProperty } from "../support/property.ts";
import { anEnvelope } from "./harness.ts";
import { entry } from "./random-commands.ts";

test("any batch comes back as it was", () => {
  checkProperty("registry/command-codec", 500, entry, ({ envelopes }) => {
    const batch: CommandBatch = { version: commandVersion, envelopes };
    const wire = JSON.parse(JSON.stringify(batchToArray(batch))) as unknown;
    expect(batchFromArray(wire)).toEqual(batch);
  });
});

test("renewals are a plain list of numbers", () => {
  expect(commandToArray({ kind: "renew", handles: [7, 8, 9] })).toEqual([2, [7, 8, 9]]);
});

test("a field of a patch that is absent stays absent, and one that is null stays null", () => {
  const command: Command = {
    kind: "patch",
    ...aKey("a"),
    changes: { zone: null, port: 1 },
    incarnation: null,
    ifRevision: null,
  };
  const batch = batchFromArray(batchToArray({ version: 1, envelopes: [anEnvelope(command)] }));
  expect(batch.envelopes[0]?.command).toStrictEqual(command);
});

const nonsense: readonly unknown[] = [
  null,
  undefined,
  7,
  "batch",
  {},
  [],
  [1],
  [1, {}],
  [1, [], "more"],
  [1.5, []],
  ["1", []],
  [1, [[]]],
  [1, [["n1", 0, null, null]]],
  [1, [["n1", 0, null, null, []]]],
  [1, [["n1", 0, null, null, [2, [1, "2"]]]]],
  [1, [["n1", 0, null, null, [2, [1.5]]]]],
  [1, [["n1", 0, null, null, [6, "more"]]]],
  [1, [["n1", 0, null, null, [6], "more"]]],
  [1, [["n1", Number.NaN, null, null, [6]]]],
  [1, [["n1", 0, null, null, [5, ["default", "web"], null]]]],
  [1, [["n1", 0, null, null, [10, [[10, [[6]]]]]]]],
  [1, [["n1", 0, null, null, [4, ["d", "w", "a"], ["__proto__", [1]], null, null]]]],
  [1, [["n1", 0, null, null, [4, ["d", "w", "a"], ["host", [1]], null, null]]]],
  [1, [["n1", 0, null, null, [4, ["d", "w", "a"], ["host"], null, null]]]],
];

test.each(nonsense)("%j is no batch", (value) => {
  expect(() => batchFromArray(value)).toThrow(CommandFormatError);
});

test("a valid batch with any one value replaced is refused, or is a batch that applies without a throw", () => {
  const command: fc.Arbitrary<CommandBatch> = entry.map(({ envelopes }) => ({ version: 1, envelopes }));
  const junk = fc.constantFrom(null, -1, 1e300, "", "up", [], [[]], {}, true, Number.NaN, 2 ** 53);
  const spoilt = fc.tuple(command, fc.nat(200), junk);
  checkProperty("registry/command-codec", 1_000, spoilt, ([batch, position, value]) => {
    const decoded = decodeOrRefuse(replaceAt(batchToArray(batch), position, value));
    const envelopes = decoded?.envelopes ?? [];
    expect(new Registry().apply({ version: 1, envelopes }, 1_000).results).toHaveLength(envelopes.length);
  });
});

/** Null when it was refused in one of the two ways that there are. */
function decodeOrRefuse(value: unknown): CommandBatch | null {
  try {
    return batchFromArray(value);
  } catch (error) {
    if (error instanceof CommandFormatError || error instanceof UnknownCommandError) return null;
    throw error;
  }
}

/** A copy of nested arrays in which the value number `position`, counted from outside in, is another. */
function replaceAt(value: unknown, position: number, replacement: unknown): unknown {
  let next = 0;
  const copy = (one: unknown): unknown => {
    const here = next;
    next += 1;
    if (here === position) return replacement;
    return Array.isArray(one) ? one.map(copy) : one;
  };
  return copy(value);
}

test("a newer version or an unknown kind is not guessed at: it stops the member before anything is applied", () => {
  expect(() => batchFromArray([2, "whatever that may be"])).toThrow(UnknownCommandError);
  expect(() => batchFromArray([1, [["n1", 0, null, null, [99, "?"]]]])).toThrow(UnknownCommandError);

  const registry = new Registry();
  expect(() => registry.apply({ version: 2, envelopes: [] }, 0)).toThrow(
    "the log holds commands of version 2, and this release knows only commands of version 1",
  );
  const unknown = { kind: "dance" } as unknown as Command;
  const nested: Command = { kind: "batch", operations: [unknown as ReturnType<typeof register>] };
  for (const command of [unknown, nested]) {
    const envelopes = [anEnvelope(register("a")), anEnvelope(command)];
    expect(() => registry.apply({ version: 1, envelopes }, 0)).toThrow(UnknownCommandError);
  }
  expect(registry.revision).toBe(0);
});
