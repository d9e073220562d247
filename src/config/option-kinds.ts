/**
 * The kinds of values that options have: how text becomes a value, and how limits are said. Flags, environment variables and the
 * config file all go through `parse`.
 */

/** What stands in the options table for one option. Its names (flag, variable, key) follow from its key in the table. */
export interface Option<T> {
  /** What stands for the value in a usage line, such as MS. */
  readonly placeholder: string;
  readonly fallback: T;
  /** The limits in words, for help and error messages; empty for none. */
  readonly limits: string;
  /** What it does, and what changing it costs. */
  readonly help: string;
  /** Turns text into a value; throws an Error whose message goes on after "must be". */
  readonly parse: (text: string) => T;
  /** The default as people read it; empty for none. */
  readonly shownDefault: string;
}

interface Described<T> {
  readonly fallback: T;
  readonly help: string;
}

interface Bounded extends Described<number> {
  readonly min: number;
  readonly max: number;
}

/** Where a server listens. Port 0 lets the system choose one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One line of `--members`. */
export interface ListedMember {
  readonly id: string;
  readonly peerUrl: string;
}

function whole(unit: string, placeholder: string) {
  return ({ fallback, min, max, help }: Bounded): Option<number> => {
    const limits = `${grouped(min)} to ${grouped(max)}${unit}`;
    return {
      placeholder,
      fallback,
      limits,
      help,
      shownDefault: grouped(fallback),
      parse: (text) => {
        const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
        if (!(value >= min && value <= max)) throw new Error(`a whole number, ${limits}`);
        return value;
      },
    };
  };
}

/** 10000 as 10,000. */
function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

export const milliseconds = whole(" ms", "MS");
export const count = whole("", "N");
export const bytes = whole(" bytes", "BYTES");

export function choice<const T extends string>(
  options: Described<T> & { readonly of: readonly T[] },
): Option<T> {
  const limits = options.of.join(", ");
  return {
    placeholder: options.of.join("|"),
    fallback: options.fallback,
    limits,
    help: options.help,
    shownDefault: options.fallback,
    parse: (text) => {
      const chosen = options.of.find((one) => one === text);
      if (chosen === undefined) throw new Error(`one of ${limits}`);
      return chosen;
    },
  };
}

/** A member's name: the rule that all names follow. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
const nameRule = "1 to 128 characters of A-Z a-z 0-9 . _ : @ -, starting with a letter or digit";

function optional<T>(
  options: { readonly placeholder: string; readonly limits: string; readonly help: string },
  parse: (text: string) => T,
): Option<T | null> {
  return { ...options, fallback: null, shownDefault: "", parse };
}

export function memberName(help: string): Option<string | null> {
  return optional({ placeholder: "NAME", limits: nameRule, help }, (text) => {
    if (!namePattern.test(text)) throw new Error(`a name: ${nameRule}`);
    return text;
  });
}

export function path(options: Described<string>): Option<string> {
  return {
    placeholder: "PATH",
    fallback: options.fallback,
    limits: "",
    help: options.help,
    shownDefault: options.fallback,
    parse: nonEmpty,
  };
}

export function optionalPath(help: string): Option<string | null> {
  return optional({ placeholder: "FILE", limits: "", help }, nonEmpty);
}

function nonEmpty(text: string): string {
  if (text === "") throw new Error("a path");
  return text;
}

export function address(options: Described<Address>): Option<Address> {
  return {
    placeholder: "HOST:PORT",
    fallback: options.fallback,
    limits: "",
    help: options.help,
    shownDefault: showAddress(options.fallback),
    parse: parseAddress,
  };
}

function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new Error("HOST:PORT, such as 127.0.0.1:7401 or [::1]:7401");
  return { host: match[1] ?? match[2] ?? "", port };
}

export function showAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export function optionalUrl(help: string): Option<string | null> {
  return optional({ placeholder: "URL", limits: "http://HOST:PORT", help }, parseUrl);
}

/** `http://HOST:PORT` and nothing after it: what members tell each other and their clients. */
function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && url.protocol === "http:" && url.username === "" && url.password === "";
  if (!isPlain || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new Error("http://HOST:PORT with nothing after it");
  }
  return url.origin;
}

/** `id=peerUrl,id=peerUrl,...`, in the operator's order: the first one founds the cluster. */
export function memberList(help: string): Option<readonly ListedMember[]> {
  return {
    placeholder: "ID=URL,...",
    fallback: [],
    limits: "",
    help,
    shownDefault: "",
    parse: (text) => {
      const members = text.split(",").map(parseListedMember);
      const repeated = members.find(({ id }, index) => members.findIndex((one) => one.id === id) !== index);
      if (repeated !== undefined)
        throw new Error(`a list that names each member once (${repeated.id} is twice)`);
      return members;
    },
  };
}

function parseListedMember(part: string): ListedMember {
  const [id = "", url = ""] = part.split(/=(.*)/s);
  if (!namePattern.test(id.trim())) throw new Error(`ID=URL,ID=URL,...; each ID ${nameRule}`);
  try {
    return { id: id.trim(), peerUrl: parseUrl(url.trim()) };
  } catch (error) {
    throw new Error(`ID=URL,ID=URL,...; the URL of ${id.trim()} must be ${(error as Error).message}`, {
      cause: error,
    });
  }
}
