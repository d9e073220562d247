/**
 * The sockets that clients connect to. A round of Node's event loop takes one new connection from each listening socket, however many wait;
 * under load, when rounds are long, a client that has just come would wait behind all others for seconds, a renewal too. So several sockets
 * listen at one port, and the kernel spreads new connections over them.
 */

import type { Server } from "node:http";
import { createServer, type AddressInfo, type Server as NetServer } from "node:net";

/**
 * New connections in one round of the loop: each costs about as much as a small request, so many more would only make the round longer.
 * A longer queue in the kernel is no substitute: it does not overflow, it is emptied too slowly.
 * Elsewhere than on Linux one port is not shared, or the kernel does not spread connections.
 */
export const listenersDefault = process.platform === "linux" ? 8 : 1;

/** Connections that the kernel holds for each socket until they are taken. Beyond, their clients' packets are lost, and sent again after a second. */
const backlog = 1_024;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Resolves with the address that all of the servers listen at; rejects when the port cannot be had. */
export async function listenAtOnePort(servers: readonly Server[], asked: Address): Promise<AddressInfo> {
  const [first, ...others] = servers;
  if (first === undefined) throw new Error("there is nothing to listen with");
  // Nobody else may share the port, another member least of all: taken alone, it shows whether somebody has it.
  const isFree = asked.port === 0 || others.length === 0;
  if (!isFree) await mustBeFree(asked);
  const bound = await listen(first, { ...asked, reusePort: others.length > 0 });
  for (const server of others) await listen(server, { ...asked, port: bound.port, reusePort: true });
  return bound;
}

async function mustBeFree(asked: Address): Promise<void> {
  const probe = createServer((socket) => socket.destroy());
  await listen(probe, { ...asked, reusePort: false });
  await new Promise((resolve) => probe.close(resolve));
}

function listen(server: NetServer, options: Address & { readonly reusePort: boolean }): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...options, backlog }, () => {
      server.off("error", reject);
      resolve(server.address() as AddressInfo);
    });
  });
}
