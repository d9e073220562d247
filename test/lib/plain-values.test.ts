import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodePlain, holdsByteOrderMark } from "../../src/lib/plain-values.ts";
import { decode, encode } from "../../src/storage/msgpack.ts";
import { decodeBody, encodeBody } from "../../src/transport/codec.ts";
import { checkProperty } from "../support/property.ts";

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ minLength: 20, maxLength: 400 }));
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, "\ufeff", "\ufeff\ufeff".padEnd(90, "ä")),
    fc.maxSafeInteger(),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.double({ noNaN: true }),
    text,
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ minLength: 1 }).filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 20 },
    ),
  ),
})).value;

test("what was encoded comes back, whatever it is, and alike from both decoders", () => {
  checkProperty("plain-values", 300, plain, (value) => {
    const bytes = Uint8Array.from(encodeBody(value));
    const decoded = decodePlain(bytes, utf8);
    expect(encodeBody(decoded)).toEqual(Buffer.from(bytes));
    expect(encodeBody(decodeBody(bytes))).toEqual(Buffer.from(bytes));
  });
});

test("bytes that end too early, go on, or mean nothing plain are refused", () => {
  const bytes = Uint8Array.from(encodeBody(["abc", 70_000, { key: [1, 2] }]));
  for (let end = 0; end < bytes.length; end += 1)
    expect(() => decodePlain(bytes.subarray(0, end), utf8)).toThrow(RangeError);
  expect(() => decodePlain(Uint8Array.of(...bytes, 0), utf8)).toThrow("follow");
  for (const first of [0xc1, 0xc7, 0xcf, 0xd3, 0xd4])
    expect(() => decodePlain(Uint8Array.of(first, 0, 0, 0, 0, 0, 0, 0, 0), utf8)).toThrow("no plain value");
});

test("a byte order mark is found wherever it stands, and nothing else is taken for one", () => {
  expect(holdsByteOrderMark(Uint8Array.of(1, 0xef, 0xef, 0xbb, 0xbf))).toBe(true);
  expect(holdsByteOrderMark(Uint8Array.of(0xef, 0xbb, 0, 0xef, 0xbb))).toBe(false);
});

test("records and results keep their byte order marks, with msgpackr's native addon and without it", () => {
  const texts = ["\ufeff", "\ufeff\ufeff".padEnd(70), `\ufeff${"ä".repeat(3_000)}`];
  expect(decode(encode(texts))).toEqual(texts);
  expect(decodeBody(encodeBody(texts))).toEqual(texts);
  const read = `
    import { decode, encode } from "${import.meta.resolve("../../src/storage/msgpack.ts")}";
    import { decodeBody, encodeBody } from "${import.meta.resolve("../../src/transport/codec.ts")}";
    const texts = ${JSON.stringify(texts)};
    console.log(JSON.stringify([decode(encode(texts)), decodeBody(encodeBody(texts))]));
  `;
  const env = { ...process.env, MSGPACKR_NATIVE_ACCELERATION_DISABLED: "true" };
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", read], { env });
  expect(JSON.parse(output.toString())).toEqual([texts, texts]);
});
