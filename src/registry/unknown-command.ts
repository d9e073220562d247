/**
 * A log entry holds something that this release does not know. Guessing or skipping would make this member differ from the others, so
 * it stops; a newer release can go on from the same data.
 */

import { commandVersion } from "./commands.ts";

export class UnknownCommandError extends Error {
  constructor(found: string) {
    super(
      `the log holds ${found}, and this release knows only commands of version ${commandVersion}; ` +
        `run the release that the other members run`,
    );
    this.name = "UnknownCommandError";
  }
}
