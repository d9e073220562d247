// Frames over a stream that may be cut anywhere.

import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFrames, encodeFrame, FrameDecoder } from "../../src/transport/frames.ts";
import { PeerProtocolError } from "../../src/transport/protocol-error.ts";

const limit = 1000;

test("frames come back whole and in order, wherever the stream is cut", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: limit }), { maxLength: 10 });
  fc.assert(
    fc.property(bodies, fc.infiniteStream(fc.integer({ min: 1, max: 300 })), (sent, sizes) => {
      const stream = Buffer.concat(sent.map(encodeFrame));
      const decoder = new FrameDecoder(limit);
      const received: Uint8Array[] = [];
      for (let position = 0; position < stream.byteLength;) {
        const size = sizes.next().value;
        decoder.push(stream.subarray(position, position + size), (body) =>
          received.push(Uint8Array.from(body)),
        );
        position += size;
      }
      expect(received).toEqual(sent);
      expect(decoder.isWithinFrame).toBe(false);
    }),
  );
});

test("a flipped bit anywhere but in the length is noticed", () => {
  const body = fc.uint8Array({ minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(body, fc.nat(), fc.integer({ min: 0, max: 7 }), (sent, place, bit) => {
      const frame = encodeFrame(sent);
      const position = 4 + (place % (frame.byteLength - 4));
      frame.writeUInt8(frame.readUInt8(position) ^ (1 << bit), position);
      expect(() => decodeFrames(frame, limit)).toThrow(/does not match its checksum/);
    }),
  );
});

test("a frame over the limit is refused as soon as its length is known", () => {
  const decoder = new FrameDecoder(limit);
  const header = encodeFrame(new Uint8Array(limit + 1)).subarray(0, 8);
  expect(() => decoder.push(header, () => {})).toThrow(`a frame of 1001 bytes is over the limit of 1000`);
});

test("a frame of exactly the limit is taken", () => {
  expect(decodeFrames(encodeFrame(new Uint8Array(limit)), limit)).toHaveLength(1);
});

test("bytes that end within a frame are no complete frames", () => {
  const frame = encodeFrame(Uint8Array.of(1, 2, 3));
  expect(() => decodeFrames(frame.subarray(0, -1), limit)).toThrow(PeerProtocolError);
});

test("what came before a bad frame has been handed over", () => {
  const bad = encodeFrame(Uint8Array.of(3));
  bad.writeUInt8(4, 8);
  const received: number[] = [];
  const stream = Buffer.concat([encodeFrame(Uint8Array.of(1)), encodeFrame(Uint8Array.of(2)), bad]);
  const push = (): void => new FrameDecoder(limit).push(stream, (body) => received.push(body.readUInt8(0)));
  expect(push).toThrow(PeerProtocolError);
  expect(received).toEqual([1, 2]);
});
