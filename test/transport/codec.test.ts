// Bytes to values and back: what members send survives, and nothing else is read.

import fc from "fast-check";
import { Packr } from "msgpackr";
import { expect, test } from "vitest";
import { decodeBody, encodeBody } from "../../src/transport/codec.ts";
import { PeerProtocolError } from "../../src/transport/protocol-error.ts";

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.string({ unit: "binary" }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie("value"), { noNullPrototype: true }),
  ),
})).value;

/** msgpackr renames this key, so that no prototype is ever replaced. */
function hasProtoKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  return Object.entries(value).some(([key, inner]) => key === "__proto__" || hasProtoKey(inner));
}

test("every plain value comes back as it went", () => {
  fc.assert(
    fc.property(plain, (value) => {
      fc.pre(!hasProtoKey(value));
      const decoded = decodeBody(Uint8Array.from(encodeBody(value)));
      expect(normal(decoded)).toEqual(normal(value));
    }),
  );
});

/** Byte strings come back as Buffers, and -0 as it went or as 0. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, normal(inner)]));
  }
  return value === 0 ? 0 : value;
}

test("arbitrary bytes give a value or a PeerProtocolError, never anything else", () => {
  const outcome = (bytes: Uint8Array): unknown => {
    try {
      return decodeBody(bytes) === undefined ? "undefined" : "a value";
    } catch (error) {
      return error instanceof PeerProtocolError ? "refused" : error;
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(["a value", "refused"]).toContain(outcome(bytes));
    }),
    { numRuns: 2000 },
  );
});

const moreTypes = new Packr({ moreTypes: true, structuredClone: true, useRecords: false });
const records = new Packr({ useRecords: true });

const refused: readonly { readonly what: string; readonly bytes: Uint8Array }[] = [
  { what: "a Set", bytes: moreTypes.pack(new Set([1])) },
  { what: "an Error", bytes: moreTypes.pack(new RangeError("x")) },
  { what: "a RegExp", bytes: moreTypes.pack(/(a+)+$/) },
  { what: "a typed array", bytes: moreTypes.pack(new Float64Array(4)) },
  { what: "a Date", bytes: moreTypes.pack(new Date(0)) },
  { what: "a cycle", bytes: moreTypes.pack(cycle()) },
  { what: "a record, whose reader is built from text", bytes: records.pack({ a: 1, b: 2 }) },
  { what: "undefined", bytes: moreTypes.pack(undefined) },
  { what: "a 64-bit integer", bytes: moreTypes.pack(2n ** 60n) },
  { what: "the reserved byte", bytes: Uint8Array.of(0xc1) },
  { what: "an array of 4 billion in 5 bytes", bytes: Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff) },
  { what: "a string beyond the end", bytes: Uint8Array.of(0xdb, 0x7f, 0xff, 0xff, 0xff, 0x61) },
  { what: "nesting of 17", bytes: Uint8Array.from([...Array<number>(17).fill(0x91), 0xc0]) },
  { what: "nesting of 100,000", bytes: new Uint8Array(100_000).fill(0x91) },
  { what: "two values", bytes: Uint8Array.of(0xc0, 0xc0) },
  { what: "nothing", bytes: new Uint8Array() },
];

function cycle(): unknown {
  const self: { me?: unknown } = {};
  self.me = [self];
  return self;
}

test.each(refused)("$what is refused", ({ bytes }) => {
  expect(() => decodeBody(bytes)).toThrow(PeerProtocolError);
});

test("every extension byte is refused, whatever follows", () => {
  const extensions = [0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8];
  for (const first of extensions) {
    for (let type = 0; type < 256; type += 1) {
      const bytes = Uint8Array.from([first, type, type, ...Array<number>(20).fill(type)]);
      expect(() => decodeBody(bytes)).toThrow("are not exchanged between members");
    }
  }
});

test("nesting of 16 is read", () => {
  const bytes = Uint8Array.from([...Array<number>(16).fill(0x91), 0xc0]);
  expect(JSON.stringify(decodeBody(bytes))).toBe(`${"[".repeat(16)}null${"]".repeat(16)}`);
});

test("a map with the key __proto__ changes no prototype", () => {
  const bytes = encodeBody(JSON.parse('{"__proto__": {"polluted": true}}'));
  const decoded = decodeBody(Uint8Array.from(bytes)) as { polluted?: boolean };
  expect(decoded.polluted).toBeUndefined();
  expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
});

test("a small byte string does not keep the buffer that it came in", () => {
  const [bytes] = decodeBody(Uint8Array.from(encodeBody([Uint8Array.of(1, 2, 3), "x".repeat(100_000)]))) as [
    Uint8Array,
  ];
  expect(bytes.buffer.byteLength).toBeLessThan(1000);
});
