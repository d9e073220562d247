/**
 * Brings the registry's changes to everybody who waits for them: one subscription to the member, however many watches are open.
 *
 * Streams of the same filter and format form an audience. A change is encoded once for each format, joined with its neighbours once for
 * each audience, and the same bytes are written to every stream.
 */

import type { ServerResponse } from "node:http";
import { RollcallError } from "../../lib/errors.ts";
import type { Metrics } from "../../observability/metrics.ts";
import type { RegistryEvent } from "../../registry/commands.ts";
import type { RegistryMember } from "../../replica/member.ts";
import { Places } from "../places.ts";
import { matches, isOpenEnded, serviceOf, watchFilterKey, type WatchFilter } from "./filter.ts";
import {
  goawayFrame,
  RecentFrames,
  snapshotFrame,
  syncFrame,
  type EventFrames,
  type WatchFormat,
} from "./frames.ts";
import { WatchStream, type Delivery, type StreamLimits, type StreamSource } from "./stream.ts";
import { whenSent } from "./propagation.ts";
import { ServiceWaiters } from "./waiters.ts";

export interface WatchLimits extends StreamLimits {
  /** Open watches and waiting requests together. */
  readonly streamsMax: number;
  readonly syncEveryMs: number;
  /** How long a watch whose cursor is ahead of this member waits for it. */
  readonly behindWaitMs: number;
  /** Clients of a stopping member come back within this time, spread evenly. */
  readonly reconnectWithinMs: number;
  /** When more changes than this have to be fetched from the registry at once, watches get a snapshot in their place. */
  readonly missedChangesMax: number;
}

export const defaultWatchLimits: WatchLimits = {
  streamsMax: 20_000,
  bufferBytesMax: 1024 * 1024,
  stalledMsMax: 120_000,
  syncEveryMs: 15_000,
  behindWaitMs: 5_000,
  reconnectWithinMs: 1_000,
  missedChangesMax: 10_000,
};

/** The streams that get the same bytes. */
interface Audience {
  readonly key: string;
  readonly filter: WatchFilter;
  readonly format: WatchFormat;
  readonly streams: Set<WatchStream>;
  snapshot: { readonly bytes: Buffer; readonly revision: number } | null;
}

export class WatchHub {
  readonly #member: RegistryMember;
  readonly #limits: WatchLimits;
  readonly #metrics: Metrics;
  readonly #audiences = new Map<string, Audience>();
  /** Audiences by each service that they name; the others by their namespace. Only these are looked at when something changes. */
  readonly #byService = new Map<string, Set<Audience>>();
  readonly #byNamespace = new Map<string, Set<Audience>>();
  readonly #waiters = new ServiceWaiters();
  readonly #places: Places;
  readonly #frames = new RecentFrames();
  readonly #unsubscribe: () => void;
  readonly #syncTimer: NodeJS.Timeout;
  /** Changes that were applied in this turn of the loop. */
  readonly #collected: RegistryEvent[] = [];
  /** Every change up to here has been delivered. */
  #revision: number;
  #isStopped = false;

  constructor(member: RegistryMember, limits: WatchLimits, metrics: Metrics) {
    this.#member = member;
    this.#limits = limits;
    this.#places = new Places(limits.streamsMax);
    this.#metrics = metrics;
    this.#revision = member.registry.revision;
    this.#unsubscribe = member.onEvents((events) => this.#collect(events));
    member.setWatchProgress((revision, budgetMs, done) => whenSent(this, { revision, budgetMs }, done));
    this.#syncTimer = setInterval(() => this.#sync(), limits.syncEveryMs);
    this.#syncTimer.unref();
  }

  get revision(): number {
    return this.#revision;
  }

  *streams(): Generator<WatchStream> {
    for (const { streams } of this.#audiences.values()) yield* streams;
  }

  get behindWaitMs(): number {
    return this.#limits.behindWaitMs;
  }

  /** Takes a place until `response` closes. Throws `overloaded` when there is none: whoever waits here long must have one. */
  takePlace(response: ServerResponse): void {
    if (this.#isStopped) throw new RollcallError("unavailable", "This member is stopping. Ask another one.");
    if (!this.#places.take(response))
      throw new RollcallError(
        "overloaded",
        `This member already has ${this.#limits.streamsMax} open watches and waiting requests. Ask another one.`,
      );
  }

  /**
   * Sends the filter's changes to `response` until it closes: those after `afterRevision`, if they are still known and the revision is
   * not null, else a snapshot first. `afterRevision` must not be ahead of the registry.
   */
  open(
    response: ServerResponse,
    filter: WatchFilter,
    format: WatchFormat,
    afterRevision: number | null,
  ): void {
    const audience = this.#join(filter, format);
    const stream = new WatchStream(response, this.#limits, this.#sourceOf(audience));
    audience.streams.add(stream);
    this.#metrics.watchOpened();
    response.once("close", () => this.#leave(audience, stream));
    stream.start(afterRevision);
    const { revision } = this.#member.registry;
    if (afterRevision !== null) stream.sync(syncFrame(format, revision), revision);
    // It was let in before, and has waited for this member to come as far as its cursor.
    if (this.#isStopped) this.#end(stream, format, 1);
  }

  /** Resolves at the service's next change, at the timeout, when the member stops, or when the client of `response` goes away. */
  nextChange(
    service: { readonly namespace: string; readonly service: string },
    timeoutMs: number,
    response: ServerResponse,
  ): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        stopWaiting();
        clearTimeout(timer);
        response.off("close", finish);
        resolve();
      };
      const stopWaiting = this.#waiters.add(serviceKey(service), finish);
      const timer = setTimeout(finish, timeoutMs);
      response.once("close", finish);
    });
  }

  /** Ends all watches with a hint to come back, and all waiting. */
  stop(random: () => number): void {
    this.#isStopped = true;
    this.#unsubscribe();
    clearInterval(this.#syncTimer);
    this.#waiters.wakeAll();
    for (const { streams, format } of this.#audiences.values()) {
      for (const stream of streams) this.#end(stream, format, random());
    }
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  #end(stream: WatchStream, format: WatchFormat, part: number): void {
    const reconnectInMs = Math.floor(part * this.#limits.reconnectWithinMs);
    stream.end((revision) => goawayFrame(format, revision, reconnectInMs), this.#revision);
  }

  /** The member is in the middle of applying: what several entries changed is delivered together, right afterwards. */
  #collect(events: readonly RegistryEvent[]): void {
    if (this.#collected.length === 0) {
      const appliedAtMs = performance.now();
      setImmediate(() => {
        this.#deliver(this.#collected.splice(0));
        this.#metrics.changesDelivered(performance.now() - appliedAtMs);
      });
    }
    this.#collected.push(...events);
  }

  #deliver(events: readonly RegistryEvent[]): void {
    if (this.#isStopped) return;
    const fresh = this.#contiguous(events);
    if (fresh === null) return this.#resetAll();
    const last = fresh.at(-1);
    if (last === undefined) return;
    this.#revision = last.revision;
    for (const [audience, frames] of this.#framesByAudience(fresh)) {
      audience.snapshot = null;
      const shared = delivery(frames, audience.format);
      for (const stream of audience.streams) stream.deliver(shared);
    }
    for (const service of new Set(fresh.map((event) => serviceKey(serviceOf(event)))))
      this.#waiters.wake(service);
  }

  /**
   * The changes after the last delivered one without a gap; null when they are not all known any more, or are too many for one turn. An
   * installed snapshot moves the registry further than the events that it tells of, and others may come right before and after them.
   */
  #contiguous(events: readonly RegistryEvent[]): readonly RegistryEvent[] | null {
    const { registry } = this.#member;
    const missed = registry.revision - this.#revision;
    const fresh = events.filter(({ revision }) => revision > this.#revision);
    if (fresh.length === missed) return fresh;
    return missed > this.#limits.missedChangesMax ? null : registry.eventsSince(this.#revision);
  }

  #resetAll(): void {
    this.#revision = this.#member.registry.revision;
    for (const { streams } of this.#audiences.values()) for (const stream of streams) stream.reset();
    this.#waiters.wakeAll();
  }

  #framesByAudience(events: readonly RegistryEvent[]): Map<Audience, EventFrames[]> {
    const byAudience = new Map<Audience, EventFrames[]>();
    for (const event of events) {
      for (const audience of this.#audiencesOf(event)) {
        const frames = this.#frames.of(event);
        const list = byAudience.get(audience);
        if (list === undefined) byAudience.set(audience, [frames]);
        else list.push(frames);
      }
    }
    return byAudience;
  }

  *#audiencesOf(event: RegistryEvent): Generator<Audience> {
    const service = serviceOf(event);
    yield* this.#byService.get(serviceKey(service)) ?? [];
    for (const audience of this.#byNamespace.get(service.namespace) ?? []) {
      if (matches(audience.filter, event)) yield audience;
    }
  }

  #sync(): void {
    this.#deliver([]);
    const nowMs = performance.now();
    for (const { streams, format } of this.#audiences.values()) {
      const frame = syncFrame(format, this.#revision);
      for (const stream of streams) {
        stream.sync(frame, this.#revision);
        stream.checkProgress(nowMs);
      }
    }
  }

  #sourceOf(audience: Audience): StreamSource {
    const { filter, format } = audience;
    return {
      snapshot: () => this.#snapshotOf(audience),
      eventsSince: (revision) => this.#member.registry.eventsSince(revision),
      encode: (event) => (matches(filter, event) ? this.#frames.of(event).in(format) : null),
    };
  }

  #snapshotOf(audience: Audience): { readonly bytes: Buffer; readonly revision: number } {
    const { registry } = this.#member;
    if (audience.snapshot?.revision !== registry.revision) {
      const bytes = snapshotFrame(audience.format, registry, audience.filter);
      audience.snapshot = { bytes, revision: registry.revision };
    }
    return audience.snapshot;
  }

  #join(filter: WatchFilter, format: WatchFormat): Audience {
    const key = `${format} ${watchFilterKey(filter)}`;
    const known = this.#audiences.get(key);
    if (known !== undefined) return known;
    const audience: Audience = { key, filter, format, streams: new Set(), snapshot: null };
    this.#audiences.set(key, audience);
    for (const [index, place] of this.#placesOf(filter)) addTo(index, place, audience);
    return audience;
  }

  #leave(audience: Audience, stream: WatchStream): void {
    if (!audience.streams.delete(stream)) return;
    this.#metrics.watchClosed();
    if (audience.streams.size > 0) return;
    this.#audiences.delete(audience.key);
    for (const [index, place] of this.#placesOf(audience.filter)) removeFrom(index, place, audience);
  }

  #placesOf(filter: WatchFilter): [index: Map<string, Set<Audience>>, place: string][] {
    const { namespace, services } = filter;
    if (isOpenEnded(filter)) return [[this.#byNamespace, namespace]];
    return services.map((service) => [this.#byService, serviceKey({ namespace, service })]);
  }
}

function delivery(frames: readonly EventFrames[], format: WatchFormat): Delivery {
  return { frames, format, bytes: Buffer.from(frames.map((frame) => frame.in(format)).join("")) };
}

/** Names have no slash. */
function serviceKey({
  namespace,
  service,
}: {
  readonly namespace: string;
  readonly service: string;
}): string {
  return `${namespace}/${service}`;
}

function addTo(index: Map<string, Set<Audience>>, place: string, audience: Audience): void {
  const present = index.get(place);
  if (present === undefined) index.set(place, new Set([audience]));
  else present.add(audience);
}

function removeFrom(index: Map<string, Set<Audience>>, place: string, audience: Audience): void {
  const present = index.get(place);
  present?.delete(audience);
  if (present?.size === 0) index.delete(place);
}
