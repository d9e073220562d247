/** The address that an instance declares when its process does not say one. */

import { networkInterfaces } from "node:os";

/** The first IPv4 address of this machine that is not a loopback, else 127.0.0.1. A machine with several should be told which. */
export function ownHost(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}
