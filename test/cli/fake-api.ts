/** A member's HTTP API with answers that a test has written down; remembers what it was asked. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface FakeAnswer {
  readonly status?: number;
  readonly body?: unknown;
  /** Cut the connection instead of answering. */
  readonly breaks?: true;
}

export interface FakeApi {
  readonly url: string;
  /** As "METHOD path body", in order. */
  readonly asked: readonly string[];
}

/** `answer`: for "METHOD path", and how often that was asked before. */
export async function fakeApi(answer: (question: string, times: number) => FakeAnswer): Promise<FakeApi> {
  const asked: string[] = [];
  const times = new Map<string, number>();
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      const question = `${request.method} ${request.url}`;
      asked.push(text === "" ? question : `${question} ${text}`);
      const before = times.get(question) ?? 0;
      times.set(question, before + 1);
      const { status = 200, body = {}, breaks } = answer(question, before);
      if (breaks === true) return void request.socket.destroy();
      response.writeHead(status, { "content-type": "application/json" });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** The URL of a port on which nobody answers. */
export async function nobody(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return `http://127.0.0.1:${port}`;
}
