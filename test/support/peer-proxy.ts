/** A middle box before a member's peer port that can refuse some of what passes: messages by POST, or the long-lived streams. */

import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export class PeerProxy {
  readonly #targetPort: number;
  readonly #server: Server;
  #refuses: (method: string, path: string) => boolean = () => false;
  /** How many requests were let through, by method and path. */
  readonly passed = new Map<string, number>();

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((incoming, response) => this.#pass(incoming, response));
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** From now on; connections that are open end. */
  refuse(refuses: (method: string, path: string) => boolean): void {
    this.#refuses = refuses;
    this.passed.clear();
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #pass(incoming: IncomingMessage, response: ServerResponse): void {
    const method = incoming.method ?? "";
    const path = (incoming.url ?? "").split("?")[0] ?? "";
    response.on("error", () => {});
    incoming.on("error", () => {});
    if (this.#refuses(method, path)) return void response.writeHead(405, { connection: "close" }).end();
    this.passed.set(`${method} ${path}`, (this.passed.get(`${method} ${path}`) ?? 0) + 1);
    const { rawHeaders } = incoming;
    const onward = request({
      host: "127.0.0.1",
      port: this.#targetPort,
      method,
      path: incoming.url ?? "/",
      agent: false,
    });
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const name = rawHeaders[at] ?? "";
      if (!/^connection$/i.test(name)) onward.setHeader(name, rawHeaders[at + 1] ?? "");
    }
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.on("error", () => response.destroy());
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    incoming.pipe(onward);
  }
}
