import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { batchToArray, CommandFormatError } from "../../src/registry/command-codec.ts";
import { commandVersion } from "../../src/registry/commands.ts";
import { MalformedError } from "../../src/registry/fields.ts";
import { UnknownCommandError } from "../../src/registry/unknown-command.ts";
import { commandCodec } from "../../src/storage/command-codec.ts";
import { decode, encode } from "../../src/storage/msgpack.ts";
import { packedFields } from "../../src/storage/packed.ts";
import { slabBytes } from "../../src/storage/wal/slabs.ts";
import { register } from "../support/commands.ts";
import { checkProperty } from "../support/property.ts";
import { entry } from "../registry/random-commands.ts";

function packed(value: unknown): ReturnType<typeof packedFields> {
  return packedFields(Uint8Array.from(encode(value)), "a value");
}

test("whole numbers of every size come back as they were", () => {
  const around = [0, 2 ** 5, 2 ** 7, 2 ** 8, 2 ** 15, 2 ** 16, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER];
  const numbers = around.flatMap((size) => [size - 1, size, -size, -size - 1]).filter(Number.isSafeInteger);
  const fields = packed(numbers);
  expect(numbers.map(() => fields.integer())).toEqual(numbers.map((number) => number + 0));
  fields.end();
});

test("texts of every length and alphabet are what a decoder of everything makes of them", () => {
  const lengths = [0, 1, 31, 32, 64, 65, 255, 256, 1_024, 70_000];
  const texts = lengths.flatMap((length) =>
    ["a", "ä", "€", "😀", "\ud800"].map((each) => each.repeat(length)),
  );
  const fields = packed(texts);
  for (const text of texts) expect(fields.text()).toBe(decode(encode(text)));
  fields.end();
});

test("a text is the same where msgpackr has no native addon, byte order marks included", () => {
  const texts = ["\ufeff", "\ufeff\ufeff".padEnd(70), `\ufeff${"ä".repeat(3_000)}`, "ä\u0000".repeat(40)];
  const read = `
    import { encode } from "${import.meta.resolve("../../src/storage/msgpack.ts")}";
    import { packedFields } from "${import.meta.resolve("../../src/storage/packed.ts")}";
    const fields = packedFields(encode(${JSON.stringify(texts)}), "texts");
    console.log(JSON.stringify([fields.text(), fields.text(), fields.text(), fields.text()]));
  `;
  const env = { ...process.env, MSGPACKR_NATIVE_ACCELERATION_DISABLED: "true" };
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", read], { env });
  expect(JSON.parse(output.toString())).toEqual(texts);
});

test("lists, bytes, booleans and null are read in order, and long lists like short ones", () => {
  const long = Array.from({ length: 70_000 }, (_, i) => i);
  const fields = packed([[], [1, 2], long, Buffer.from("bytes"), true, false, null, 7, ["x", [null]]]);
  const integers = (): number[] => fields.list("numbers", (item) => item.integer());
  expect([integers(), integers(), integers()]).toEqual([[], [1, 2], long]);
  expect(Buffer.from(fields.bytes()).toString()).toBe("bytes");
  expect([fields.boolean(), fields.boolean(), fields.integerOrNull(), fields.integerOrNull()]).toEqual([
    true,
    false,
    null,
    7,
  ]);
  expect(
    fields.nested("pair", (pair) => [pair.text(), pair.listOrNull("of", (item) => item.textOrNull())]),
  ).toEqual(["x", [null]]);
  fields.end();
});

test("what many have in common is read once; what is long, or has other characters, each time", () => {
  const tags = ["blue", "fast"];
  const readTags = (fields: { list: ReturnType<typeof packed>["list"] }): string[] =>
    fields.list("tags", (item) => item.text());
  const commonOf = (value: unknown): readonly string[] => packed([value]).common(readTags);
  expect(commonOf(tags)).toEqual(tags);
  expect(commonOf(tags)).toBe(commonOf([...tags]));
  expect(commonOf(["blue"])).not.toBe(commonOf(tags));
  for (const text of ["x".repeat(300), "ä".repeat(200)]) {
    expect(commonOf([text])).toEqual([text]);
    expect(commonOf([text])).not.toBe(commonOf([text]));
  }
  const another = (fields: { text(): string }): string => fields.text();
  expect(packed(["one", 2]).common(another)).toBe("one");
  expect(() => packed([]).common(another)).toThrow(MalformedError);
});

test.each([
  ["nothing", new Uint8Array()],
  ["a text", encode("text").slice()],
  ["a map", encode({ a: 1 }).slice()],
  ["a list that has lost its end", encode(["a", "b"]).subarray(0, 3).slice()],
])("%s is no array of fields", (_, bytes) => {
  expect(() => {
    const fields = packedFields(bytes, "it");
    fields.text();
    fields.text();
  }).toThrow(MalformedError);
});

test.each([
  ["too few fields", [1]],
  ["too many fields", [1, 2, 3]],
  ["a fraction", [1, 1.5]],
  ["a number that is no longer exact", [1, 2 ** 60]],
  ["another kind of value", [1, "2"]],
  ["a list in the place of a number", [1, [2]]],
])("%s is refused", (_, value) => {
  const fields = packed(value);
  expect(() => {
    fields.integer();
    fields.integer();
    fields.end();
  }).toThrow(MalformedError);
});

test("any batch of commands comes back as it was", () => {
  checkProperty("storage/packed", 500, entry, ({ envelopes }) => {
    const batch = { version: commandVersion, envelopes };
    expect(commandCodec.decode(commandCodec.encode(batch))).toEqual(JSON.parse(JSON.stringify(batch)));
  });
});

test("a batch whose bytes are lists in lists, however deep, is refused like any other that makes no sense", () => {
  const command = register("a", { host: "here", port: 80 });
  const envelopes = [{ command, member: "n1", at: 1, idempotencyKey: null, by: null }];
  const bytes = Buffer.from(encode(batchToArray({ version: commandVersion, envelopes })));
  const tags = bytes.indexOf(0x90, bytes.indexOf("here"));
  const deep = Buffer.concat([bytes.subarray(0, tags), Buffer.alloc(500_000, 0x91), bytes.subarray(tags)]);
  expect(() => commandCodec.decode(deep)).toThrow(CommandFormatError);
});

test("the bytes of a batch keep nothing alive that was encoded beside them", () => {
  const beside = encode(Array.from({ length: 100_000 }, (_, i) => i));
  const bytes = commandCodec.encode({ version: commandVersion, envelopes: [] });
  expect(bytes.buffer).not.toBe(beside.buffer);
  expect(bytes.buffer).not.toBe(encode([]).buffer);
  expect(bytes.buffer.byteLength).toBeLessThanOrEqual(slabBytes);
});

test("bytes of a batch that are cut or changed are refused, or are a batch", () => {
  const harmed = fc.tuple(entry, fc.nat(), fc.nat(255), fc.boolean());
  checkProperty("storage/packed", 1_000, harmed, ([{ envelopes }, position, byte, isCut]) => {
    const bytes = Uint8Array.from(encode(batchToArray({ version: commandVersion, envelopes })));
    const place = position % bytes.length;
    bytes[place] = byte;
    const decode = (): unknown => commandCodec.decode(isCut ? bytes.subarray(0, place) : bytes);
    try {
      decode();
      expect(isCut).toBe(false);
    } catch (error) {
      const isRefusal = error instanceof CommandFormatError || error instanceof UnknownCommandError;
      if (!isRefusal) throw error;
    }
  });
});
