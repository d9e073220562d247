/** Watch events as bytes, in both formats: the same object is an SSE event's data and an NDJSON line. */

import type { RegistryEvent } from "../../registry/commands.ts";
import type { RegistryView } from "../../registry/view.ts";
import { instanceJson } from "../render.ts";
import { servicesIn, type WatchFilter } from "./filter.ts";

export type WatchFormat = "sse" | "ndjson";

export const mediaTypes: Readonly<Record<WatchFormat, string>> = {
  sse: "text/event-stream",
  ndjson: "application/x-ndjson",
};

const anyStatus = { statuses: null, tags: [], version: null, zone: null, metadata: [] };

function frame(format: WatchFormat, type: string, revision: number, body: object): string {
  const data = JSON.stringify({ type, revision, ...body });
  return format === "ndjson" ? `${data}\n` : `id: ${revision}\nevent: ${type}\ndata: ${data}\n\n`;
}

/** A registry event in one format, encoded when it is first needed and then shared by all streams. */
export class EventFrames {
  readonly #event: RegistryEvent;
  readonly #encoded: Partial<Record<WatchFormat, string>> = {};

  constructor(event: RegistryEvent) {
    this.#event = event;
  }

  get revision(): number {
    return this.#event.revision;
  }

  in(format: WatchFormat): string {
    return (this.#encoded[format] ??= encode(format, this.#event));
  }
}

/** Frames are kept for this many of the newest changes: clients that lost their member resume together, having missed the same. */
const framesKeptMax = 10_000;

/** The frames of recent changes, so that each is encoded once however many streams replay it. */
export class RecentFrames {
  readonly #byRevision = new Map<number, EventFrames>();

  of(event: RegistryEvent): EventFrames {
    const known = this.#byRevision.get(event.revision);
    if (known !== undefined) return known;
    const frames = new EventFrames(event);
    this.#byRevision.set(event.revision, frames);
    if (this.#byRevision.size > framesKeptMax) {
      const [oldest] = this.#byRevision.keys();
      if (oldest !== undefined) this.#byRevision.delete(oldest);
    }
    return frames;
  }
}

function encode(format: WatchFormat, event: RegistryEvent): string {
  const { type, revision } = event;
  switch (event.type) {
    case "put":
      return frame(format, type, revision, { instance: instanceJson(event.instance) });
    case "delete": {
      const { namespace, service, id, reason } = event;
      return frame(format, type, revision, { namespace, service, id, reason });
    }
    case "service": {
      const { namespace, service } = event;
      return frame(format, type, revision, { namespace, service, protected: event.protected });
    }
  }
}

export function snapshotFrame(format: WatchFormat, registry: RegistryView, filter: WatchFilter): Buffer {
  const services = servicesIn(registry, filter).map((service) => [
    service,
    registry.instances(filter.namespace, service, anyStatus).map(instanceJson),
  ]);
  return Buffer.from(
    frame(format, "snapshot", registry.revision, { services: Object.fromEntries(services) as object }),
  );
}

export function syncFrame(format: WatchFormat, revision: number): Buffer {
  return Buffer.from(frame(format, "sync", revision, {}));
}

/** The last words of a member that stops: come back, to another member, after so long. */
export function goawayFrame(format: WatchFormat, revision: number, reconnectInMs: number): Buffer {
  const retry = format === "sse" ? `retry: ${reconnectInMs}\n` : "";
  return Buffer.from(`${retry}${frame(format, "goaway", revision, { reconnectInMs })}`);
}
