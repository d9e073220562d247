/** Reads a request's body as lines of bounded length, as they come. */

import type { IncomingMessage } from "node:http";

export interface LineHandlers {
  line(text: string): void;
  /** The body ended, or the connection broke: no line follows. Called once. */
  end(): void;
  /** A line is longer than allowed; nothing more is read. */
  tooLong(): void;
}

const newline = 0x0a;

export function readLines(request: IncomingMessage, bytesMax: number, handlers: LineHandlers): void {
  let partial: Buffer[] = [];
  let length = 0;
  let isOver = false;
  const take = (piece: Buffer): void => {
    length += piece.length;
    if (length > bytesMax) return refuse();
    partial.push(piece);
  };
  const refuse = (): void => {
    isOver = true;
    partial = [];
    handlers.tooLong();
  };
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    handlers.end();
  };
  request.on("data", (chunk: Buffer) => {
    let start = 0;
    while (!isOver) {
      const at = chunk.indexOf(newline, start);
      take(chunk.subarray(start, at < 0 ? undefined : at));
      if (at < 0 || isOver) return;
      handlers.line(Buffer.concat(partial).toString("utf8"));
      partial = [];
      length = 0;
      start = at + 1;
    }
  });
  for (const event of ["end", "error", "close"]) request.once(event, end);
}
