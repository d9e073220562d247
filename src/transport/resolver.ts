/**
 * Remembers the addresses of host names. `dns.lookup` runs in the same small thread pool as the disk's work: while that is stuck, reconnecting
 * to a peer must not have to wait behind it.
 */

import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from "node:dns";
import type { LookupFunction } from "node:net";

type Addresses = readonly LookupAddress[];
type Find = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** More names than any cluster has; beyond it the oldest is forgotten. */
const namesMax = 256;

export class Resolver {
  readonly #find: Find;
  readonly #known = new Map<string, Addresses>();

  constructor(find: Find = dnsLookup) {
    this.#find = find;
  }

  /** For the `lookup` option of Node's sockets. */
  readonly lookup: LookupFunction = (hostname, options, done) => {
    const answer = (addresses: Addresses): void => {
      const first = addresses[0];
      if (options.all === true) done(null, [...addresses]);
      else done(null, first?.address ?? "", first?.family ?? 0);
    };
    const known = this.#known.get(hostname);
    // Sockets expect their answer in a later turn.
    if (known !== undefined) return process.nextTick(answer, known);
    this.#find(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null || addresses.length === 0) return done(error ?? noAddress(hostname), []);
      this.#remember(hostname, addresses);
      answer(addresses);
    });
  };

  /** Connecting failed: the name may stand for another address by now. */
  forget(hostname: string): void {
    this.#known.delete(hostname);
  }

  #remember(hostname: string, addresses: Addresses): void {
    const oldest = this.#known.keys().next();
    if (this.#known.size >= namesMax && oldest.done !== true) this.#known.delete(oldest.value);
    this.#known.set(hostname, addresses);
  }
}

function noAddress(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} has no address`), { code: "ENOTFOUND" });
}
