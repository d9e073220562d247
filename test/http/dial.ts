/** One connection, spoken to by hand: several requests on it, or parts of one. */

import { connect, type Socket } from "node:net";

export async function dial(port: number): Promise<{ readonly socket: Socket; readonly text: () => string }> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return { socket, text: () => received };
}

/** Of the answers that have come. */
export function statusesIn(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]!);
}

/** As a stopped process does: nothing of the loop runs, and what arrives waits in the sockets. */
export function standStill(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
