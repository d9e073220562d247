/**
 * Proves that both ends of a connection know the cluster's secret, before anything they send is decoded.
 *
 * The asker signs its handshake, the method and path, and a random nonce; the answerer signs its own handshake and that nonce. No clock is
 * compared and nothing is remembered. So the answerer's proof is fresh each time, while an asker's could be replayed by somebody who can read the network,
 * and what follows the heads is not signed: the secret keeps out strangers and misconfigured members, not somebody who sits on the wire.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { handshakeHeaders, headerNames, readWord, type Handshake } from "./handshake.ts";

const secretCharactersMin = 16;

export class Authenticator {
  readonly #secret: string | null;

  /** Null: nothing is proved and nothing is checked. Throws RangeError for a secret under 16 characters. */
  constructor(secret: string | null) {
    if (secret !== null && secret.length < secretCharactersMin) {
      throw new RangeError(
        `the peer secret has ${secret.length} characters, and at least ${secretCharactersMin} are needed`,
      );
    }
    this.#secret = secret;
  }

  /** The headers of a request; `method` and `path` (with the query) are part of what is signed. */
  requestHeaders(handshake: Handshake, method: string, path: string): Record<string, string> {
    const nonce = randomBytes(16).toString("base64url");
    const proof = this.#proof(["request", method, path, nonce], handshake);
    return { ...handshakeHeaders(handshake), [headerNames.nonce]: nonce, ...proof };
  }

  acceptsRequest(headers: IncomingHttpHeaders, handshake: Handshake, method: string, path: string): boolean {
    const nonce = readWord(headers, headerNames.nonce) ?? "";
    return this.#accepts(headers, ["request", method, path, nonce], handshake);
  }

  /** The headers of the answer to a request with this nonce. */
  answerHeaders(handshake: Handshake, nonce: string): Record<string, string> {
    return { ...handshakeHeaders(handshake), ...this.#proof(["answer", nonce], handshake) };
  }

  acceptsAnswer(headers: IncomingHttpHeaders, handshake: Handshake, nonce: string): boolean {
    return this.#accepts(headers, ["answer", nonce], handshake);
  }

  #accepts(headers: IncomingHttpHeaders, context: readonly string[], handshake: Handshake): boolean {
    // Who has no secret does not let in who has one either: else what is meant for a proven member would go to an unproven one.
    if (this.#secret === null) return headers[headerNames.proof] === undefined;
    const expected = Buffer.from(sign(this.#secret, context, handshake));
    const given = Buffer.from(readWord(headers, headerNames.proof) ?? "");
    return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
  }

  #proof(context: readonly string[], handshake: Handshake): Record<string, string> {
    return this.#secret === null ? {} : { [headerNames.proof]: sign(this.#secret, context, handshake) };
  }
}

/** HMAC-SHA256 over a JSON array: no two different handshakes give the same text. */
function sign(secret: string, context: readonly string[], handshake: Handshake): string {
  const signed = JSON.stringify([...context, ...Object.values(handshakeHeaders(handshake))]);
  return createHmac("sha256", secret).update(signed).digest("base64url");
}
