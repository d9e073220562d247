/**
 * Logging: JSON lines for machines, or one readable line each for people. Values first, then a constant message, so that the same event
 * can be searched for by its message. Secrets are masked here, whoever logs them.
 */

import { pino, type DestinationStream } from "pino";
import { prettyLine } from "./pretty-line.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

/** What the rest of the program logs with. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose lines all carry these fields too. */
  child(fields: LogFields): Logger;
  isDebug(): boolean;
}

/** A logger with an end: what was logged last must not be lost when the process ends. */
export interface RootLogger extends Logger {
  flush(): void;
}

/** Fields whose values are never shown, wherever they stand. */
const secretFields = ["secret", "token", "authorization", "password", "peerSecret"];
const redact = {
  paths: secretFields.flatMap((name) => [name, `*.${name}`, `headers.${name}`, `*.headers.${name}`]),
  censor: "[masked]",
};

/** Lines that a reader of the log is too slow for are dropped beyond this many bytes, rather than kept without bound. */
const waitingBytesMax = 4 * 1024 * 1024;

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "auto" | "json" | "pretty";
  /** Carried by every line. */
  readonly fields: LogFields;
}

/** Logs to standard output. */
export function createLogger(options: LoggerOptions): RootLogger {
  const isPretty = options.format === "pretty" || (options.format === "auto" && process.stdout.isTTY);
  // Asynchronous, because a reader that stops reading must not stop the member.
  const output = pino.destination({ dest: 1, sync: false, maxLength: waitingBytesMax });
  const colour = isPretty && process.stdout.hasColors?.() === true;
  const stream = isPretty ? { write: (line: string) => output.write(prettyLine(line, { colour })) } : output;
  const root = loggerTo(stream, options);
  return { ...root, flush: () => flushQuietly(output) };
}

/** Logs to a stream of JSON lines: for tests, and for the two formats above. */
export function loggerTo(stream: DestinationStream, options: Omit<LoggerOptions, "format">): Logger {
  const formatters = { level: (label: string) => ({ level: label }) };
  const timestamp = pino.stdTimeFunctions.isoTime;
  const logger = pino({ level: options.level, base: null, redact, formatters, timestamp }, stream);
  return wrap(logger.child(options.fields));
}

function wrap(logger: pino.Logger): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields)),
    isDebug: () => logger.isLevelEnabled("debug"),
  };
}

/** Hears nothing; for tests. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
  isDebug: () => false,
};

function flushQuietly(output: { flushSync(): void }): void {
  try {
    output.flushSync();
  } catch {
    // Nobody reads any more (a closed pipe), or nothing was ever written: there is nothing to save.
  }
}
