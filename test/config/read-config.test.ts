import { expect, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { optionNames, options, variableOf, type OptionName } from "../../src/config/options.ts";
import { readConfig, type ConfigSources } from "../../src/config/read-config.ts";

const minimal = { id: "n1", members: "n1=http://127.0.0.1:7501" };

function read(sources: Partial<Omit<ConfigSources, "file">> & { readonly file?: unknown }) {
  const { flags = minimal, env = {}, file } = sources;
  const text = typeof file === "string" ? file : JSON.stringify(file);
  return readConfig({ flags, env, file: file === undefined ? null : { path: "rollcall.json", text } });
}

function problemsOf(sources: Parameters<typeof read>[0]): readonly string[] {
  try {
    read(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("a flag wins over the environment, the environment over the file, the file over the default", () => {
  const file = { electionMs: 4001, heartbeatMs: 201, tickMs: 51 };
  const env = { ROLLCALL_ELECTION_MS: "4002", ROLLCALL_HEARTBEAT_MS: "202", ROLLCALL_DISK_STALL_MS: "9000" };
  const config = read({ flags: { ...minimal, electionMs: "4003" }, env, file });
  expect(config).toMatchObject({ electionMs: 4003, heartbeatMs: 202, tickMs: 51, diskStallMs: 9000 });
  expect(config.electionGraceMs).toBe(2000);
});

/** Something else than the default, that goes with what `minimal` says. */
const texts: Partial<Record<OptionName, string>> = {
  id: "n1",
  data: "elsewhere",
  listen: "127.0.0.1:8401",
  peerListen: "127.0.0.1:8501",
  advertise: "http://10.0.0.1:7401",
  peerAdvertise: "http://127.0.0.1:7501",
  members: "n1=http://127.0.0.1:7501",
  join: "http://10.0.0.2:7401",
  peerSecretFile: "secret",
  authTokensFile: "tokens.json",
  joinTokenFile: "token",
  logLevel: "warn",
  logFormat: "json",
};

test.each(optionNames)("%s is the same option as a flag, as a variable, and in a file", (name) => {
  const fallback = options[name].fallback;
  const text = texts[name] ?? String(Number(fallback) + 1);
  const isJoining = name === "join" || name === "joinTokenFile";
  const base: Partial<Record<OptionName, string>> = isJoining
    ? { id: "n1", join: "http://10.0.0.2:7401" }
    : minimal;
  const { [name]: _, ...others } = base;
  const byFlag = read({ flags: { ...others, [name]: text } })[name];
  expect(byFlag).not.toEqual(fallback);
  expect(read({ flags: others, env: { [variableOf(name)]: text } })[name]).toEqual(byFlag);
  // A number may stand there as one.
  const inFile = typeof fallback === "number" ? [text, Number(text)] : [text];
  for (const value of inFile) expect(read({ flags: others, file: { [name]: value } })[name]).toEqual(byFlag);
});

test("the file takes numbers, strings and an object of members", () => {
  const members = { n1: "http://10.0.0.1:7501", n2: "http://10.0.0.2:7501" };
  const config = read({ flags: {}, file: { id: "n2", members, tickMs: 40, logLevel: "warn" } });
  expect(config).toMatchObject({ id: "n2", tickMs: 40, logLevel: "warn" });
  expect(config.members).toEqual([
    { id: "n1", peerUrl: "http://10.0.0.1:7501" },
    { id: "n2", peerUrl: "http://10.0.0.2:7501" },
  ]);
});

test("members keep the order in which they were listed: the first one founds the cluster", () => {
  const members = "n9=http://127.0.0.1:1,n1=http://127.0.0.1:2";
  expect(read({ flags: { id: "n1", members } }).members.map(({ id }) => id)).toEqual(["n9", "n1"]);
});

const refused: readonly (readonly [given: Parameters<typeof read>[0], problem: RegExp])[] = [
  [{ flags: {} }, /--id is missing/],
  [
    { flags: { ...minimal, tickMs: "fast" } },
    /^--tick-ms must be a whole number, 5 to 1,000 ms; it is "fast"\.$/,
  ],
  [{ flags: { ...minimal, tickMs: "4" } }, /--tick-ms must be a whole number, 5 to 1,000 ms/],
  [{ flags: { ...minimal, tickMs: "1001" } }, /--tick-ms must be/],
  [{ flags: { ...minimal, tickMs: "1e2" } }, /--tick-ms must be/],
  [{ flags: { ...minimal, listen: "7401" } }, /--listen must be HOST:PORT/],
  [{ flags: { ...minimal, listen: "127.0.0.1:65536" } }, /--listen must be HOST:PORT/],
  [{ flags: { ...minimal, id: "-n1" } }, /--id must be a name/],
  [{ flags: { ...minimal, id: "n 1" } }, /--id must be a name/],
  [{ flags: { ...minimal, id: `n${"1".repeat(128)}` } }, /--id must be a name/],
  [{ flags: { ...minimal, logLevel: "loud" } }, /--log-level must be one of debug, info, warn, error/],
  [{ flags: { ...minimal, advertise: "ftp://n1:7401" } }, /--advertise must be http:\/\/HOST:PORT/],
  [{ flags: { ...minimal, advertise: "http://n1:7401/v1" } }, /--advertise must be http:\/\/HOST:PORT with/],
  [{ flags: { id: "n1", members: "n1" } }, /--members must be ID=URL.*the URL of n1/],
  [{ flags: { id: "n1", members: "n1=http://a:1,n1=http://b:1" } }, /n1 is twice/],
  [
    { flags: { id: "n4", members: "n1=http://a:1,n2=http://b:1" } },
    /names n1, n2, but not this member \(--id n4\)/,
  ],
  [{ flags: { ...minimal, join: "http://a:1" } }, /not both/],
  [{ flags: { id: "n1", peerListen: "0.0.0.0:1" } }, /give --peer-advertise/],
  [
    { flags: { ...minimal, heartbeatMs: "20" } },
    /--heartbeat-ms \(20\) must not be less than --tick-ms \(50\)/,
  ],
  [{ flags: { ...minimal, electionMs: "299" } }, /--election-ms \(299\) must be at least three times/],
  [{ flags: { ...minimal, diskStallMs: "999" } }, /--disk-stall-ms \(999\) must not be less than/],
  [
    { env: { ROLLCALL_ELECTOIN_MS: "5" } },
    /ROLLCALL_ELECTOIN_MS is no option; did you mean ROLLCALL_ELECTION_MS\?/,
  ],
  [{ env: { ROLLCALL_TICK_MS: "x" } }, /^ROLLCALL_TICK_MS must be a whole number/],
  [{ file: { tickms: 50 } }, /"tickms" in rollcall.json is no option; did you mean tickMs\?/],
  [{ file: { colour: "red" } }, /"colour" in rollcall.json is no option; rollcall options lists them all/],
  [{ file: { tickMs: [50] } }, /"tickMs" in rollcall.json must be a string or a number/],
  [{ file: "{" }, /The config file rollcall.json is not JSON/],
  [{ file: "[]" }, /must hold one JSON object/],
];

test.each(refused)("%j is refused in a sentence", (given, problem) => {
  expect(problemsOf(given).join("\n")).toMatch(problem);
});

test("everything that is wrong is said at once", () => {
  const problems = problemsOf({
    flags: { ...minimal, tickMs: "x" },
    env: { ROLLCALL_DATUM: "d" },
    file: { a: 1 },
  });
  expect(problems).toHaveLength(3);
});

test("variables that Kubernetes makes for a Service named rollcall are not options", () => {
  const env = {
    ROLLCALL_SERVICE_HOST: "10.0.0.1",
    ROLLCALL_SERVICE_PORT: "7401",
    ROLLCALL_SERVICE_PORT_HTTP: "7401",
    ROLLCALL_PORT: "tcp://10.0.0.1:7401",
    ROLLCALL_PORT_7401_TCP_ADDR: "10.0.0.1",
    ROLLCALL_PEERS_SERVICE_HOST: "10.0.0.2",
  };
  expect(problemsOf({ env })).toEqual([]);
});

test("no option's variable looks like one that Kubernetes makes", () => {
  const env = Object.fromEntries(optionNames.map((name) => [variableOf(name), ""]));
  // Each is empty, so each is complained of, except where empty text is a value.
  const complaints = problemsOf({ flags: {}, env }).join("\n");
  for (const name of optionNames) expect(complaints).toContain(variableOf(name));
});

test("every default passes its own check, written as text", () => {
  const written = optionNames.filter((name) => ["number", "string"].includes(typeof options[name].fallback));
  expect(written.length).toBeGreaterThan(15);
  for (const name of written) {
    const { fallback, parse } = options[name];
    const text = JSON.stringify(fallback).replaceAll('"', "");
    expect([name, parse(text)]).toEqual([name, fallback]);
  }
});
