/**
 * Finds out when every watch that is open on this member has been sent a revision, flushed to its socket: then nobody who watches here
 * can still believe what was true before it.
 */

import type { WatchStream } from "./stream.ts";

/** Draining is rare and not hurried, so looking now and then is good enough. */
const lookEveryMs = 10;

export interface OpenWatches {
  /** Every change up to here has been handed to the streams. */
  readonly revision: number;
  streams(): Iterable<WatchStream>;
}

/** Calls `done` once, with whether all streams that are open now had been sent `revision` within `budgetMs`. */
export function whenSent(
  watches: OpenWatches,
  { revision, budgetMs }: { readonly revision: number; readonly budgetMs: number },
  done: (reached: boolean) => void,
): void {
  const deadlineMs = performance.now() + budgetMs;
  let marks: Map<WatchStream, number | null> | null = null;
  const look = (): void => {
    if (watches.revision >= revision) marks = unfinished((marks ??= unmarked(watches)));
    if (marks?.size === 0) return done(true);
    if (performance.now() >= deadlineMs) return done(false);
    setTimeout(look, lookEveryMs).unref();
  };
  look();
}

function unmarked(watches: OpenWatches): Map<WatchStream, number | null> {
  return new Map([...watches.streams()].map((stream) => [stream, null]));
}

/** A stream's mark is taken once it has everything, so that later changes do not put off the end. */
function unfinished(marks: ReadonlyMap<WatchStream, number | null>): Map<WatchStream, number | null> {
  const left = new Map<WatchStream, number | null>();
  for (const [stream, known] of marks) {
    const mark = known ?? stream.mark();
    if (mark === null || !stream.hasFlushed(mark)) left.set(stream, mark);
  }
  return left;
}
