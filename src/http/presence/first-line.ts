/** Waits for the first line of a connection, which says what it is for, and hands the others to whoever understands it. */

import { RollcallError } from "../../lib/errors.ts";
import { bodyLimits, ClientGone } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import { readLines } from "./line-reader.ts";

/** What the rest of a connection's lines go to, once the first has been understood. */
interface Ear {
  line: () => void;
  end: (reason: string) => void;
  /** Why the client is gone, once it is. */
  ended: string | null;
}

/** Rejects when it does not come, is too long, or does not come in time. */
export function firstLine(
  { request }: Exchange,
  withinMs: number,
): Promise<{ readonly text: string; readonly ear: Ear }> {
  return new Promise((resolve, reject) => {
    const late = new RollcallError(
      "invalid_argument",
      `The first line did not arrive within ${withinMs} ms.`,
    );
    const timer = setTimeout(() => reject(late), withinMs);
    const unfinished = new RollcallError(
      "invalid_argument",
      "The body ended before its first line did. A line ends with a newline, and the body stays open while the client lives.",
    );
    const ear: Ear = {
      line: () => {},
      end: () => reject(request.complete ? unfinished : new ClientGone()),
      ended: null,
    };
    let isFirst = true;
    const end = (reason: string): void => {
      clearTimeout(timer);
      ear.ended = reason;
      ear.end(reason);
    };
    readLines(request, bodyLimits.bulkBytesMax, {
      line: (text) => {
        clearTimeout(timer);
        if (isFirst) resolve({ text, ear });
        else ear.line();
        isFirst = false;
      },
      end: () => end("the client ended the connection"),
      tooLong: () => {
        reject(new RollcallError("too_large", `A line may have ${bodyLimits.bulkBytesMax} bytes.`));
        end("a line was too long");
      },
    });
  });
}
