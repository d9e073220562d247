/**
 * A network between members on one machine, which can be cut. Before each peer port stands a relay; who dials is read from the head of the
 * first request. A link is one direction between two members, whoever dialled: what would travel over a link that is cut is held, the end
 * of a connection too, as where packets are lost. Later it goes on, late as it is, or the connection breaks.
 */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Of the first request's head, which names who dials. */
const headBytesMax = 16_384;

export interface Relay {
  /** Whose peer port it stands before. */
  readonly id: string;
  readonly port: number;
  readonly targetPort: number;
}

export class Links {
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Connection>();
  readonly #cut = new Set<string>();
  #delayMs: () => number = () => 0;

  async add({ id, port, targetPort }: Relay): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (dialled) => {
      void this.#accept(dialled, id, targetPort);
    });
    this.#servers.push(server);
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  }

  cut(from: string, to: string): void {
    this.#cut.add(nameOf(from, to));
  }

  /** Each piece takes this long from now on. */
  slow(delayMs: () => number): void {
    this.#delayMs = delayMs;
  }

  /** Every link carries again, without delay. What was held arrives now; or its connection breaks, as after a timeout of TCP. */
  heal(held: "arrives" | "is lost"): void {
    const broken = held === "is lost" ? [...this.#connections].filter(({ isHeld }) => isHeld) : [];
    this.#cut.clear();
    this.#delayMs = () => 0;
    for (const connection of broken) connection.break();
    for (const connection of this.#connections) connection.goOn();
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.break();
    await Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }

  async #accept(dialled: Socket, to: string, targetPort: number): Promise<void> {
    dialled.on("error", () => {});
    const head = await headOf(dialled);
    const from = head === null ? null : dialerOf(head);
    if (head === null || from === null) return void dialled.destroy();
    const target = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true });
    const connection = new Connection([
      new Direction(dialled, target, () => this.#stateOf(from, to), head),
      new Direction(target, dialled, () => this.#stateOf(to, from), null),
    ]);
    this.#connections.add(connection);
    connection.onGone(() => this.#connections.delete(connection));
  }

  #stateOf(from: string, to: string): LinkState {
    return { isCut: this.#cut.has(nameOf(from, to)), delayMs: this.#delayMs() };
  }
}

interface LinkState {
  readonly isCut: boolean;
  readonly delayMs: number;
}

class Connection {
  readonly #directions: readonly Direction[];

  constructor(directions: readonly Direction[]) {
    this.#directions = directions;
  }

  get isHeld(): boolean {
    return this.#directions.some(({ isHeld }) => isHeld);
  }

  goOn(): void {
    for (const direction of this.#directions) direction.goOn();
  }

  break(): void {
    for (const direction of this.#directions) direction.break();
  }

  onGone(gone: () => void): void {
    let open = this.#directions.length;
    for (const { source } of this.#directions) source.once("close", () => (open -= 1) === 0 && gone());
  }
}

/** What travels from one end of a connection to the other: a piece at a time, so that no more than that is ever held here. */
class Direction {
  readonly source: Socket;
  readonly #target: Socket;
  readonly #state: () => LinkState;
  #piece: Buffer | null;
  #ending: "none" | "closed" | "broken" = "none";
  #isOnItsWay = false;

  constructor(source: Socket, target: Socket, state: () => LinkState, first: Buffer | null) {
    this.source = source;
    this.#target = target;
    this.#state = state;
    this.#piece = first;
    source.on("data", (piece) => this.#take(piece));
    source.on("end", () => this.#end("closed"));
    source.on("error", () => this.#end("broken"));
    source.on("close", () => this.#end("closed"));
    if (first === null) source.resume();
    else this.goOn();
  }

  get isHeld(): boolean {
    return (this.#piece !== null || this.#ending !== "none") && this.#state().isCut;
  }

  /** Sends on what waits here, unless the link is cut. */
  goOn(): void {
    if (this.#isOnItsWay || (this.#piece === null && this.#ending === "none")) return;
    const { isCut, delayMs } = this.#state();
    if (isCut) return;
    this.#isOnItsWay = true;
    setTimeout(() => this.#arrive(), delayMs);
  }

  break(): void {
    this.source.destroy();
    this.#target.destroy();
  }

  #take(piece: Buffer): void {
    this.source.pause();
    this.#piece = piece;
    this.goOn();
  }

  #end(how: "closed" | "broken"): void {
    if (this.#ending !== "broken") this.#ending = how;
    this.goOn();
  }

  #arrive(): void {
    this.#isOnItsWay = false;
    if (this.#state().isCut || this.#target.destroyed) return;
    const piece = this.#piece;
    if (piece === null) return this.#arriveAtEnd();
    this.#piece = null;
    if (this.#target.write(piece)) this.source.resume();
    else this.#target.once("drain", () => this.source.resume());
    this.goOn();
  }

  #arriveAtEnd(): void {
    if (this.#ending === "broken") this.#target.destroy();
    else this.#target.end();
  }
}

/** The bytes up to the end of the first request's head, and what came with them; null when there is none. Leaves the socket paused. */
function headOf(socket: Socket): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let head = Buffer.alloc(0);
    const end = (result: Buffer | null): void => {
      socket.pause();
      socket.off("data", take);
      socket.off("end", give);
      socket.off("close", give);
      resolve(result);
    };
    const take = (piece: Buffer): void => {
      head = Buffer.concat([head, piece]);
      if (head.includes("\r\n\r\n")) end(head);
      else if (head.length > headBytesMax) end(null);
    };
    const give = (): void => end(null);
    socket.on("data", take);
    socket.on("end", give);
    socket.on("close", give);
  });
}

function dialerOf(head: Buffer): string | null {
  return /^rollcall-from: *(\S+)/im.exec(head.toString("latin1"))?.[1] ?? null;
}

function nameOf(from: string, to: string): string {
  return `${from} to ${to}`;
}
