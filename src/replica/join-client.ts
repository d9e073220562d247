/** How an empty member that was started with --join asks a running cluster to be added: through the client API of any member. */

import type { BootstrapPeer } from "./bootstrap-port.ts";

const answerMs = 5_000;

export class JoinClient {
  readonly #url: string;
  readonly #token: string | null;

  /** `url`: any member's client URL. `token`: where the cluster asks for one. */
  constructor(url: string, token: string | null = null) {
    this.#url = url;
    this.#token = token;
  }

  /** Where the members answer each other. Rejects with a sentence. */
  async members(): Promise<readonly BootstrapPeer[]> {
    const body = await this.#ask("GET", "/v1/cluster", null);
    const { members } = body as { readonly members?: readonly BootstrapPeer[] };
    return (members ?? []).map(({ id, peerUrl }) => ({ id, peerUrl }));
  }

  /** Asks to be added as a learner. Rejects with a sentence. */
  async add(self: {
    readonly id: string;
    readonly peerUrl: string;
    readonly clientUrl: string;
  }): Promise<void> {
    await this.#ask("POST", "/v1/cluster/members", self);
  }

  async #ask(method: string, path: string, body: unknown): Promise<unknown> {
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#url), {
        method,
        headers: {
          "content-type": "application/json",
          ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
        },
        signal: AbortSignal.timeout(answerMs),
        ...(body === null ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
      const why = cause?.code === "ECONNREFUSED" ? "connection refused" : (cause ?? (error as Error)).message;
      throw new Error(`the member to join at ${this.#url} cannot be reached: ${why}`, { cause: error });
    }
    const answer = (await response.json().catch(() => ({}))) as { readonly detail?: string };
    if (!response.ok)
      throw new Error(`${this.#url} refuses: ${answer.detail ?? `status ${response.status}`}`);
    return answer;
  }
}
