import { expect, test } from "vitest";
import { loggerTo, type Logger, type LogLevel } from "../../src/observability/logger.ts";
import { prettyLine } from "../../src/observability/pretty-line.ts";

function recording(level: LogLevel = "info"): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  return { logger: loggerTo(stream, { level, fields: { member: "n1" } }), lines };
}

test("a line is one JSON object: level as a word, time as people write it, fields, message", () => {
  const { logger, lines } = recording();
  logger.child({ component: "raft" }).info({ term: 7, votes: 2 }, "became leader");
  expect(lines).toHaveLength(1);
  const { time, ...rest } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  expect(rest).toEqual({
    level: "info",
    member: "n1",
    component: "raft",
    term: 7,
    votes: 2,
    msg: "became leader",
  });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("lines below the level are not written", () => {
  const { logger, lines } = recording("warn");
  logger.info({}, "unheard");
  logger.warn({}, "heard");
  expect(lines).toHaveLength(1);
  expect(logger.isDebug()).toBe(false);
  expect(recording("debug").logger.isDebug()).toBe(true);
});

test("secrets are masked wherever they stand", () => {
  const { logger, lines } = recording();
  logger.info(
    { secret: "s3cret", request: { token: "s3cret", headers: { authorization: "s3cret" } } },
    "asked",
  );
  logger.info({ config: { peerSecret: "s3cret" }, headers: { authorization: "s3cret" } }, "asked");
  expect(lines.join("")).not.toContain("s3cret");
  expect(lines.join("")).toContain("[masked]");
});

test("an error is logged with its cause", () => {
  const { logger, lines } = recording();
  logger.error({ err: new Error("cannot write", { cause: new Error("EIO") }) }, "disk failed");
  expect(lines[0]).toContain("cannot write");
  expect(lines[0]).toContain("EIO");
});

const base = { level: "info", time: "2026-11-20T12:34:56.789Z", member: "n1", component: "raft" };
const plain = (record: object): string =>
  prettyLine(JSON.stringify({ ...base, ...record }), { colour: false });

test.each([
  [{ msg: "became leader", term: 7 }, "12:34:56.789 became leader term=7\n"],
  [{ level: "warn", msg: "disk is full" }, "12:34:56.789 warn: disk is full\n"],
  [{ level: "debug", msg: "append" }, "12:34:56.789 append\n"],
  [
    { msg: "saw", url: "http://n2:1", why: "two words", list: [1] },
    '12:34:56.789 saw url=http://n2:1 why="two words" list=[1]\n',
  ],
  [
    { msg: "following n2 in term 7", leader: "n2", term: 7, votes: 3 },
    "12:34:56.789 following n2 in term 7 votes=3\n",
  ],
  [
    { msg: "failed", err: { message: "m", stack: "Error: m\n  at x" } },
    "12:34:56.789 failed\n    Error: m\n      at x\n",
  ],
])("for people, %j is %j", (record, line) => {
  expect(plain(record)).toBe(line);
});

test("what is no JSON passes through, and colours only come when asked for", () => {
  expect(prettyLine("Segmentation fault\n", { colour: true })).toBe("Segmentation fault\n");
  const line = JSON.stringify({ ...base, level: "error", msg: "m" });
  const escape = String.fromCodePoint(27);
  expect(prettyLine(line, { colour: true })).toContain(escape);
  expect(prettyLine(line, { colour: false })).not.toContain(escape);
});
