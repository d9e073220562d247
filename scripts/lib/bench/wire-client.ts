// A client that costs little, so that one core of it can ask more than the cluster can answer: requests encoded once, kept-alive connections
// with one request each at a time, and of an answer only its status and its end.

import { connect, type Socket } from "node:net";

/** A request as bytes. `host` is any: members do not look at it. */
export function encode(method: string, path: string, body?: unknown): string {
  const content = body === undefined ? "" : JSON.stringify(body);
  const headers =
    body === undefined
      ? ""
      : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(content)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: bench\r\n${headers}\r\n${content}`;
}

/** 0 for a connection that broke. */
type Answered = (status: number) => void;

class Connection {
  readonly #socket: Socket;
  readonly #idle: (connection: Connection) => void;
  #answered: Answered | null = null;
  #text = "";
  isOpen = true;

  constructor(port: number, idle: (connection: Connection) => void) {
    this.#idle = idle;
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.setEncoding("latin1").on("data", (chunk: string) => this.#take(chunk));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.isOpen = false;
      this.#end(0);
    });
  }

  send(bytes: string, answered: Answered): void {
    this.#answered = answered;
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: string): void {
    const text = this.#text === "" ? chunk : this.#text + chunk;
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0) {
      this.#text = text;
      return;
    }
    const at = text.indexOf("Content-Length: ");
    const length = at < 0 || at > headEnd ? 0 : Number.parseInt(text.slice(at + 16, at + 26), 10);
    if (text.length < headEnd + 4 + length) {
      this.#text = text;
      return;
    }
    this.#text = "";
    this.#end(Number.parseInt(text.slice(9, 12), 10));
  }

  #end(status: number): void {
    const answered = this.#answered;
    this.#answered = null;
    answered?.(status);
    if (this.isOpen && answered !== null) this.#idle(this);
  }
}

/** Connections to one member: as many as are needed at once, up to a limit. */
export class Pool {
  readonly #port: number;
  readonly #connectionsMax: number;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();

  constructor(url: string, connectionsMax: number) {
    this.#port = Number(new URL(url).port);
    this.#connectionsMax = connectionsMax;
  }

  get size(): number {
    return this.#all.size;
  }

  /** False, and nothing sent, when all connections are busy. */
  send(bytes: string, answered: Answered): boolean {
    const connection = this.#take();
    if (connection === null) return false;
    connection.send(bytes, (status) => {
      if (status === 0) this.#all.delete(connection);
      answered(status);
    });
    return true;
  }

  close(): void {
    for (const connection of this.#all) connection.close();
  }

  #take(): Connection | null {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isOpen) return idle;
      this.#all.delete(idle);
    }
    if (this.#all.size >= this.#connectionsMax) return null;
    const connection = new Connection(this.#port, (one) => this.#idle.push(one));
    this.#all.add(connection);
    return connection;
  }
}
