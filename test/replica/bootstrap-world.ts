/**
 * The first start of a cluster in memory: members with durable disks, a network and timers whose every event waits in one list until the
 * test picks it. So a test decides the order of everything, and can crash a member between any two events.
 */

import type { Membership } from "../../src/raft/types.ts";
import type { BootstrapClient, BootstrapOutcome, BootstrapPeer } from "../../src/replica/bootstrap-port.ts";
import { Bootstrap, type BootstrapState, type BootstrapStore } from "../../src/replica/bootstrap.ts";

export interface Disk {
  readonly incarnation: string;
  clusterId: string | null;
  promisedClusterId: string | null;
  founding: Membership | null;
}

interface Process {
  readonly bootstrap: Bootstrap;
  isAlive: boolean;
  state: BootstrapState | null;
}

interface Event {
  /** Whose crash takes this event along. */
  readonly owner: Process;
  readonly kind: "question" | "answer" | "disk" | "timer";
  readonly run: () => void;
  /** What happens instead, when it is lost. */
  readonly orElse?: () => void;
}

export class BootstrapWorld {
  readonly list: readonly BootstrapPeer[];
  readonly disks = new Map<string, Disk>();
  /** Everybody who ever belonged to a cluster, wiped disks included. */
  readonly founded: { readonly member: string; readonly disk: Disk }[] = [];
  #processes = new Map<string, Process>();
  #events: Event[] = [];
  #held: Event[] = [];
  /** Questions that a member works on: its crash breaks the connection. */
  readonly #underWay = new Set<{ readonly target: Process; readonly fail: () => void }>();
  #drawn = 0;

  constructor(ids: readonly string[]) {
    this.list = ids.map((id) => ({ id, peerUrl: `http://${id}` }));
    for (const id of ids) this.wipe(id);
  }

  get pending(): number {
    return this.#events.length;
  }

  state(id: string): BootstrapState | null {
    return this.#processes.get(id)?.state ?? null;
  }

  isAlive(id: string): boolean {
    return this.#processes.get(id)?.isAlive === true;
  }

  wipe(id: string): void {
    this.#drawn += 1;
    const incarnation = `${id}-${this.#drawn}`;
    this.disks.set(id, { incarnation, clusterId: null, promisedClusterId: null, founding: null });
  }

  start(id: string, list: readonly BootstrapPeer[] = this.list): void {
    const disk = this.#disk(id);
    const process: Process = {
      isAlive: true,
      state: null,
      bootstrap: new Bootstrap({
        memberId: id,
        peerUrl: `http://${id}`,
        clientUrl: `http://${id}/client`,
        list,
        findPeers: () => Promise.resolve([]),
        askToBeAdded: () => Promise.resolve(null),
        store: this.#store(id, disk, () => process),
        client: this.#client(() => process),
        scheduler: {
          soon: () => {},
          after: (_ms, task) => {
            this.#add({ owner: process, kind: "timer", run: task });
            return () => {};
          },
        },
        drawClusterId: () => {
          this.#drawn += 1;
          return `cluster-${this.#drawn}`;
        },
        onState: (state) => {
          process.state = state;
        },
        membership: () => (disk.founding === null ? null : { membership: disk.founding, index: 1 }),
      }),
    };
    this.#processes.set(id, process);
    void process.bootstrap.run();
  }

  /** Ends the process at once. A disk write under way happens or does not. */
  crash(id: string, options: { readonly finishesWrites: boolean }): void {
    const process = this.#processes.get(id);
    if (process === undefined || !process.isAlive) return;
    process.isAlive = false;
    const [own, others] = partition(this.#events, (event) => event.owner === process);
    this.#events = others;
    this.#held = this.#held.filter((event) => event.owner !== process);
    for (const event of own) {
      if (event.kind === "disk" && options.finishesWrites) event.run();
    }
    for (const question of this.#underWay) {
      if (question.target === process) {
        this.#underWay.delete(question);
        question.fail();
      }
    }
  }

  /** Lets one event happen, and everything that follows from it at once. */
  async step(index = 0): Promise<void> {
    const [event] = this.#events.splice(index, 1);
    event?.run();
    await settled();
  }

  /** Delivers a question once more, now; its answer is heard by nobody. */
  duplicate(index: number): void {
    const event = this.#events[index];
    if (event?.kind === "question") this.#events.push({ ...event, orElse: () => {} });
  }

  /** The one who asked gives up; the question may still arrive, at any later time. */
  loseAnswer(index: number): void {
    const event = this.#events[index];
    if (event?.kind === "question") event.orElse?.();
  }

  /** Keeps an event back until `release`: a message that comes very late. */
  hold(index: number): void {
    const [event] = this.#events.splice(index, 1);
    if (event !== undefined) this.#held.push(event);
  }

  release(): void {
    this.#events.push(...this.#held.splice(0, 1).filter((event) => event.owner.isAlive));
  }

  /** Throws when two clusters exist, or two members disagree on how theirs began. */
  check(options: { readonly wipedCount: boolean } = { wipedCount: true }): void {
    const counted = options.wipedCount
      ? this.founded
      : this.founded.filter(({ member, disk }) => this.disks.get(member) === disk);
    const clusters = new Set(counted.map(({ disk }) => disk.clusterId));
    if (clusters.size > 1) throw new Error(`two clusters: ${JSON.stringify(counted)}`);
    const beginnings = new Set(counted.map(({ disk }) => JSON.stringify(disk.founding)));
    if (beginnings.size > 1) throw new Error(`two first entries: ${[...beginnings].join(" and ")}`);
  }

  #disk(id: string): Disk {
    const disk = this.disks.get(id);
    if (disk === undefined) throw new Error(`no disk of ${id}`);
    return disk;
  }

  #add(event: Event): void {
    if (event.owner.isAlive) this.#events.push(event);
  }

  #store(id: string, disk: Disk, process: () => Process): BootstrapStore {
    const write = (change: () => void): Promise<void> =>
      new Promise((resolve) => {
        const run = (): void => {
          change();
          if (process().isAlive) resolve();
        };
        this.#add({ owner: process(), kind: "disk", run });
      });
    return {
      read: () => disk,
      savePromise: (clusterId) =>
        write(() => {
          disk.promisedClusterId = clusterId;
        }),
      join: (clusterId, founding) =>
        write(() => {
          Object.assign(disk, { clusterId, founding, promisedClusterId: null });
          this.founded.push({ member: id, disk });
        }),
    };
  }

  #client(asker: () => Process): BootstrapClient {
    const ask = <T>(
      peer: BootstrapPeer,
      answer: (bootstrap: Bootstrap) => Promise<T>,
    ): Promise<BootstrapOutcome<T>> =>
      new Promise((resolve) => {
        const hear = (outcome: BootstrapOutcome<T>): void => {
          if (asker().isAlive) this.#add({ owner: asker(), kind: "answer", run: () => resolve(outcome) });
        };
        const fail = (): void =>
          hear({ kind: "unreachable", reason: `${peer.id} cannot be reached: connection refused` });
        const arrive = (): void => {
          const target = this.#processes.get(peer.id);
          if (target?.isAlive !== true) return fail();
          const underWay = { target, fail };
          this.#underWay.add(underWay);
          void answer(target.bootstrap).then((value) => {
            if (this.#underWay.delete(underWay)) hear({ kind: "answer", answer: value });
          });
        };
        // On the wire it belongs to nobody: the asker's crash does not take it back.
        const wire: Process = { ...asker(), isAlive: true };
        this.#events.push({ owner: wire, kind: "question", run: arrive, orElse: fail });
      });
    return {
      identity: (peer) => ask(peer, (bootstrap) => Promise.resolve(bootstrap.identity())),
      promise: (peer, question) => ask(peer, (bootstrap) => bootstrap.promise(question)),
    };
  }
}

/** Everything that follows without an event of its own has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function partition<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}
