// Strangers that speak HTTP by hand: a client and a server that claim to be a member and then do as they are told.

import {
  createServer,
  request as httpRequest,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";
import { Authenticator } from "../../../src/transport/authenticator.ts";
import { headerNames, protocolRange, type Handshake } from "../../../src/transport/handshake.ts";
import { noEntry } from "../../../src/raft/types.ts";
import { clusterId } from "./peers.ts";

export interface RawAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** The handshake of member n9 to n1, with changes. */
export function handshakeOf(changes: Partial<Handshake> = {}): Handshake {
  return {
    id: "n9",
    incarnation: "n9-first",
    clusterId,
    membershipAt: noEntry,
    version: "0.0.1",
    protocol: protocolRange,
    toId: "n1",
    toIncarnation: null,
    ...changes,
  };
}

/** The headers of a request by somebody who knows `secret`. */
export function headersOf(
  handshake: Handshake,
  method: string,
  path: string,
  secret: string | null = null,
): Record<string, string> {
  return new Authenticator(secret).requestHeaders(handshake, method, path);
}

/** Resolves with the whole answer; rejects when there is none. */
export function call(
  port: number,
  question: { method: "GET" | "POST"; path: string; headers?: OutgoingHttpHeaders; body?: Uint8Array },
): Promise<RawAnswer> {
  const { method, path, headers, body } = question;
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: "127.0.0.1",
      port,
      method,
      path,
      headers: headers ?? {},
      agent: false,
    });
    request.on("error", reject);
    request.on("response", (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("error", reject);
      answer.on("end", () => {
        resolve({
          status: answer.statusCode ?? 0,
          body: Buffer.concat(parts).toString("utf8"),
          headers: answer.headers,
        });
      });
    });
    request.end(body);
  });
}

const servers = new Set<ReturnType<typeof createServer>>();

afterEach(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  servers.clear();
});

/** A server that introduces itself as `as` (to whoever asks) with status 200, and then does as it is told. */
export async function startImpostor(
  as: Partial<Handshake>,
  act: (path: string, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly port: number }> {
  const server = createServer((request, response) => {
    const asker = { toId: String(request.headers[headerNames.from]), toIncarnation: null };
    const nonce = String(request.headers[headerNames.nonce]);
    response.on("error", () => {});
    request.resume();
    response.writeHead(200, new Authenticator(null).answerHeaders(handshakeOf({ ...as, ...asker }), nonce));
    act(request.url ?? "", response);
  });
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}` };
}
