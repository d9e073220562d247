/** What every command gets: the API at the members that were named, and how to print. */

import { Option, type Command } from "commander";
import { Api } from "./api.ts";
import { asJson, asTable, type Column, type OutputFormat } from "./output.ts";

export interface Context {
  readonly api: Api;
  readonly servers: readonly string[];
  readonly timeoutMs: number;
  /** Prints rows in the wanted format; `json` is what JSON output shows. */
  readonly rows: <Row>(rows: readonly Row[], columns: readonly Column<Row>[], json: unknown) => void;
  /** Prints a sentence, or with JSON output the value. */
  readonly done: (sentence: string, json: unknown) => void;
}

interface GlobalOptions {
  readonly server: string;
  readonly output: OutputFormat;
  readonly timeout: string;
  readonly token?: string;
}

export function addGlobalOptions(program: Command): void {
  const server = new Option(
    "-s, --server <urls>",
    "client URLs of members, separated by commas; the first that can answers",
  )
    .env("ROLLCALL_SERVER")
    .default("http://127.0.0.1:7401,http://127.0.0.1:7402,http://127.0.0.1:7403");
  const output = new Option("-o, --output <format>", "how to print")
    .choices(["table", "json"])
    .default("table");
  program
    .addOption(server)
    .addOption(output)
    .addOption(new Option("--timeout <ms>", "how long to wait for an answer").default("10000"))
    .addOption(new Option("--token <token>", "sent as Authorization: Bearer").env("ROLLCALL_TOKEN"));
}

export function contextOf(command: Command): Context {
  const { server, output, timeout, token } = command.optsWithGlobals<GlobalOptions>();
  const servers = server.split(",").map((one) => (one.includes("://") ? one.trim() : `http://${one.trim()}`));
  const timeoutMs = Number(timeout);
  if (!(timeoutMs >= 1)) command.error(`error: --timeout must be a number of milliseconds, not ${timeout}`);
  if (!servers.every((one) => URL.canParse(one)))
    command.error(`error: --server must be URLs, not ${server}`);
  const isJson = output === "json";
  return {
    api: new Api({ servers, timeoutMs, token: token ?? null }),
    servers,
    timeoutMs,
    rows: (rows, columns, json) => {
      const text = isJson ? asJson(json) : asTable(rows, columns, { forPeople: process.stdout.isTTY });
      if (text !== "") console.log(text);
    },
    done: (sentence, json) => console.log(isJson ? asJson(json) : sentence),
  };
}
