/** Turns one JSON log line into one line for people: time, level where it matters, message, then the values as name=value. */

import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Said otherwise in the line, or the same in every line. */
const notShown = new Set(["level", "time", "msg", "member", "component", "err"]);

const styles: Readonly<Record<string, Style>> = { warn: "yellow", error: "red", debug: "dim" };

/** A line that is no JSON object is passed through as it is. */
export function prettyLine(line: string, options: { readonly colour: boolean }): string {
  const record = parse(line);
  if (record === null) return line;
  const paint = (style: Style, text: string): string =>
    options.colour ? styleText(style, text, { validateStream: false }) : text;

  const level = String(record["level"]);
  const style = styles[level];
  const time = paint("dim", String(record["time"]).slice(11, 23));
  const said = new Set(String(record["msg"]).split(/[\s:,]+/));
  const values = Object.entries(record)
    // A sentence that holds its values ("following n2 in term 7") need not be followed by them.
    .filter(([name, value]) => !notShown.has(name) && !said.has(String(value)))
    .map(([name, value]) => paint("dim", `${name}=${shown(value)}`));
  const word = style === undefined || level === "debug" ? [] : [level];
  const message = [...word, String(record["msg"])].join(": ");
  const head = [time, style === undefined ? message : paint(style, message), ...values].join(" ");
  return `${head}\n${errorLines(record["err"])}`;
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function shown(value: unknown): string {
  if (typeof value === "string") return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}

/** A stack below its line, indented. */
function errorLines(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { stack, message } = error as { readonly stack?: unknown; readonly message?: unknown };
  const text = typeof stack === "string" ? stack : String(message);
  return `${text.replaceAll(/^/gm, "    ")}\n`;
}
