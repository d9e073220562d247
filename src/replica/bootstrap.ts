/**
 * The first start of a member: asks the listed members in rounds, and carries out what the rules (`bootstrap-rules.ts`) say, until this
 * member belongs to a cluster. Answers the others meanwhile, and afterwards tells them which cluster there is.
 *
 * Every change is durable before anybody hears of it, and can be met again after a crash: a member simply goes on from what its disk says.
 */

import type { Index, Membership } from "../raft/types.ts";
import type {
  BootstrapClient,
  BootstrapHandler,
  BootstrapIdentity,
  BootstrapPeer,
  PromiseAnswer,
  PromiseQuestion,
} from "./bootstrap-port.ts";
import {
  nextStep,
  refusal,
  type OwnIdentity,
  type Question,
  type Round,
  type Seen,
  type Step,
} from "./bootstrap-rules.ts";
import type { Scheduler } from "./ports.ts";

/** The durable side. Each call resolves once the change survives a power loss. */
export interface BootstrapStore {
  read(): {
    readonly incarnation: string;
    readonly clusterId: string | null;
    readonly promisedClusterId: string | null;
  };
  savePromise(clusterId: string): Promise<void>;
  /** Makes this member one of the cluster: with the founding entry as the first of its log, or with an empty log for null. */
  join(clusterId: string, founding: Membership | null): Promise<void>;
}

/** What is missing, for people. Reported when it changes. */
export interface BootstrapState {
  readonly kind: "waiting" | "wiped" | "notMember";
  /** One sentence without its full stop. */
  readonly why: string;
  /** A client URL of the cluster, where it is known. */
  readonly serverUrl: string | null;
}

export interface BootstrapOptions {
  readonly memberId: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
  /** The operator's list, this member included; empty for a member that waits to be added. */
  readonly list: readonly BootstrapPeer[];
  /** Whom to ask beside the list: the members of a cluster to be added to. Rejects with a sentence. */
  readonly findPeers: () => Promise<readonly BootstrapPeer[]>;
  /** Called in each round in which the cluster does not know this member. Rejects with a sentence. */
  readonly askToBeAdded: () => Promise<null>;
  readonly store: BootstrapStore;
  readonly client: BootstrapClient;
  readonly scheduler: Scheduler;
  readonly drawClusterId: () => string;
  readonly onState: (state: BootstrapState) => void;
  /** The membership in force once this member runs; null before. */
  readonly membership: () => { readonly membership: Membership; readonly index: Index } | null;
}

/** Rounds follow each other quickly while something happens, and calmly when nothing does. */
const roundIntervalMs = 100;
const calmIntervalMs = 1_000;
const calmAfterRounds = 50;

export class Bootstrap implements BootstrapHandler {
  readonly #options: BootstrapOptions;
  #own: OwnIdentity;
  #mintedOver = new Map<string, string | null>();
  /** Durable changes are made one after the other, each by what the one before has left. */
  #changes: Promise<unknown> = Promise.resolve();
  #reported = "";
  #quietRounds = 0;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(options: BootstrapOptions) {
    this.#options = options;
    const { memberId, peerUrl, clientUrl } = options;
    this.#own = { memberId, peerUrl, clientUrl, ...options.store.read() };
  }

  identity(): BootstrapIdentity {
    const { membership, index } = this.#options.membership() ?? { membership: null, index: 0 };
    return { ...this.#own, membership, membershipIndex: index };
  }

  promise(question: PromiseQuestion): Promise<PromiseAnswer> {
    return this.#change(async () => {
      const { clusterId, promisedClusterId, incarnation } = this.#own;
      // The same question again: its answer was lost.
      const isKept = (clusterId ?? promisedClusterId) === question.clusterId;
      const reason = isKept ? null : refusal(this.#own, this.#options.list, question);
      if (reason !== null) return { promised: false, reason };
      if (!isKept) await this.#savePromise(question.clusterId);
      return { promised: true, incarnation };
    });
  }

  /** Resolves once this member belongs to a cluster, or has been stopped; rejects when its disk fails. */
  async run(): Promise<void> {
    while (!this.#stopped && this.#own.clusterId === null) {
      const goesOn = await this.#round();
      if (!goesOn) await this.#pause();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Whether the next round may follow at once, because this one got somewhere. */
  async #round(): Promise<boolean> {
    const { list, client, findPeers } = this.#options;
    const listed = list.filter((peer) => peer.id !== this.#own.memberId);
    const others = await findPeers().catch((error: unknown) => (error as Error).message);
    if (typeof others === "string") {
      this.#report({ kind: "waiting", why: others, serverUrl: null });
      return false;
    }
    const unlisted = others.filter(
      (peer) => peer.id !== this.#own.memberId && !listed.some((one) => one.id === peer.id),
    );
    const peers = [...listed, ...unlisted];
    const outcomes = await Promise.all(peers.map((peer) => client.identity(peer)));
    const seen: readonly Seen[] = outcomes.flatMap((outcome, index) => {
      const peer = peers[index];
      return peer === undefined ? [] : [{ peer, outcome }];
    });
    const round: Round = { own: this.#own, list, seen, mintedOver: this.#mintedOver };
    return this.#stopped ? false : this.#carryOut(nextStep(round));
  }

  async #carryOut(step: Step): Promise<boolean> {
    switch (step.kind) {
      case "wait":
        this.#report({ kind: "waiting", why: step.why, serverUrl: null });
        return false;
      case "ask":
        if (step.mint) await this.#mint(step.questions);
        return this.#ask(step.questions);
      case "found":
        await this.#join(this.#own.promisedClusterId ?? "", step.membership);
        return true;
      case "adopt":
        await this.#join(step.clusterId, step.founding);
        return true;
      case "wiped": {
        const { clusterId, clientUrl } = step.via;
        const why = `cluster ${clusterId} knows another ${this.#own.memberId}: this one's data folder is new, and what the old one promised is lost with it`;
        this.#report({ kind: "wiped", why, serverUrl: clientUrl });
        return false;
      }
      case "notMember": {
        const { clusterId, clientUrl } = step.via;
        const why = `cluster ${clusterId} does not know ${this.#own.memberId}`;
        const refused = await this.#options
          .askToBeAdded()
          .catch((error: unknown) => (error as Error).message);
        this.#report({
          kind: "notMember",
          why: refused === null ? why : `${why}; ${refused}`,
          serverUrl: clientUrl,
        });
        return false;
      }
    }
  }

  #mint(questions: readonly Question[]): Promise<void> {
    return this.#change(async () => {
      await this.#savePromise(this.#options.drawClusterId());
      this.#mintedOver = new Map(questions.map(({ peer, replaces }) => [peer.id, replaces]));
    });
  }

  async #ask(questions: readonly Question[]): Promise<boolean> {
    const { client, list } = this.#options;
    const { promisedClusterId, memberId, incarnation } = this.#own;
    const outcomes = await Promise.all(
      questions.map(({ peer, replaces }) =>
        client.promise(peer, {
          clusterId: promisedClusterId ?? "",
          minter: { id: memberId, incarnation },
          replaces,
          members: list,
        }),
      ),
    );
    const problems = outcomes.flatMap((outcome) => {
      if (outcome.kind !== "answer") return [outcome.reason];
      return outcome.answer.promised ? [] : [outcome.answer.reason];
    });
    if (problems.length === 0) return true;
    this.#report({ kind: "waiting", why: problems.join("; "), serverUrl: null });
    return false;
  }

  /** A no-op when a promise to somebody else was made while the answer was on its way. */
  #join(clusterId: string, founding: Membership | null): Promise<void> {
    return this.#change(async () => {
      const { promisedClusterId } = this.#own;
      if (promisedClusterId !== null && promisedClusterId !== clusterId) return;
      await this.#options.store.join(clusterId, founding);
      this.#own = { ...this.#own, clusterId, promisedClusterId: null };
    });
  }

  async #savePromise(clusterId: string): Promise<void> {
    await this.#options.store.savePromise(clusterId);
    this.#own = { ...this.#own, promisedClusterId: clusterId };
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(change);
    this.#changes = result.catch(() => {});
    return result;
  }

  #report(state: BootstrapState): void {
    const text = JSON.stringify(state);
    if (text === this.#reported) return;
    this.#reported = text;
    this.#quietRounds = 0;
    this.#options.onState(state);
  }

  #pause(): Promise<void> {
    this.#quietRounds += 1;
    const ms = this.#quietRounds > calmAfterRounds ? calmIntervalMs : roundIntervalMs;
    return new Promise((resolve) => {
      if (this.#stopped) return resolve();
      const cancel = this.#options.scheduler.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
