import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { checksum, checksumOf } from "../../src/storage/checksum.ts";
import { seededRandom } from "../support/random.ts";

const random = seededRandom(32);
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(random() * 256));

test("the known value of CRC-32", () => {
  expect(checksum("123456789")).toBe(0xcbf43926);
  expect(checksum()).toBe(0);
});

test.each([0, 1, 2, 3, 4, 5, 7, 159, 160, 161, 162, 320, 1000])(
  "%i bytes come to what zlib says, in one piece or in parts",
  (length) => {
    const bytes = bytesOf(length);
    expect(checksum(bytes)).toBe(crc32(bytes));
    const middle = length >> 1;
    expect(checksum(bytes.subarray(0, middle), bytes.subarray(middle))).toBe(crc32(bytes));
    expect(checksumOf(bytes, middle, length, checksumOf(bytes, 0, middle))).toBe(crc32(bytes));
  },
);

test.each(["", "plain", "größer", "日本", "😀", "a".repeat(160), "a".repeat(161), `${"a".repeat(159)}é`])(
  "the text %j counts as its UTF-8",
  (text) => {
    expect(checksum("before", text)).toBe(crc32(text, crc32("before")));
  },
);
