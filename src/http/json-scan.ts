/**
 * Looks over the text of a JSON body before it is parsed, for what `JSON.parse` accepts and this API does not: deep nesting, a key that is
 * written twice, and keys that JavaScript treats specially.
 *
 * It does not decide whether the text is JSON: on text that is none it may find anything or nothing, and the parser says so afterwards.
 */

import type { FieldError } from "../lib/errors.ts";
import { escapePointer } from "./invalid.ts";

export interface JsonFindings {
  /** The nesting went deeper than allowed; the text must not be parsed. */
  readonly tooDeep: boolean;
  /** The first key that may not be used. Meaningful only if the text is JSON. */
  readonly badKey: FieldError | null;
}

const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"]);

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** An object or array that is open at the present position. */
interface Frame {
  /** The keys met so far; null in an array. */
  readonly keys: Set<string> | null;
  /** The key or position that the scan is at. */
  at: string | number;
  expectsKey: boolean;
}

export function scanJson(text: string, depthMax: number): JsonFindings {
  const frames: Frame[] = [];
  let badKey: FieldError | null = null;
  for (let i = 0; i < text.length; i += 1) {
    const char = text.charCodeAt(i);
    const frame = frames.at(-1);
    if (char === quote) {
      const end = endOfString(text, i);
      if (frame?.expectsKey === true && frame.keys !== null) {
        const key = unescapeKey(text.slice(i, end + 1));
        badKey ??= complaint(key, frame.keys, frames);
        frame.keys.add(key);
        frame.at = key;
        frame.expectsKey = false;
      }
      i = end;
    } else if (char === openBrace || char === openBracket) {
      if (frames.length === depthMax) return { tooDeep: true, badKey };
      frames.push(
        char === openBrace
          ? { keys: new Set(), at: "", expectsKey: true }
          : { keys: null, at: 0, expectsKey: false },
      );
    } else if (char === closeBrace || char === closeBracket) {
      frames.pop();
    } else if (char === comma && frame !== undefined) {
      if (frame.keys === null) frame.at = Number(frame.at) + 1;
      else frame.expectsKey = true;
    }
  }
  return { tooDeep: false, badKey };
}

/** The position of the closing quote, or the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    const char = text.charCodeAt(i);
    if (char === backslash) i += 1;
    else if (char === quote) return i;
  }
  return text.length;
}

/** The key that the quoted text stands for: "\u005f_proto__" is "__proto__". */
function unescapeKey(quoted: string): string {
  if (!quoted.includes("\\")) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}

function complaint(key: string, known: ReadonlySet<string>, frames: readonly Frame[]): FieldError | null {
  const isForbidden = forbiddenKeys.has(key);
  if (!isForbidden && !known.has(key)) return null;
  const path = [...frames.slice(0, -1).map((frame) => String(frame.at)), key];
  return {
    pointer: path.map((part) => `/${escapePointer(part)}`).join(""),
    detail: isForbidden ? "may not be used as a key" : "is given twice",
  };
}
