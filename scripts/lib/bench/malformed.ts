// Requests that nobody would write, against real members: no 500, no crash, and what is refused changes nothing.
//
// Every request is wrong in at least one way, so none of them may be done. They are made from a
// seed, by taking a good request and breaking it; test/http/malformed.test.ts does the same with a generator that shrinks.

import { connect } from "node:net";
import { exampleNames } from "../../../src/http/examples.ts";
import { endpoints, pathsOf } from "../../../src/http/endpoints.ts";
import { seededRandom } from "../../../test/support/random.ts";
import type { MemberProcess } from "../../../test/support/member-process.ts";
import { BenchCluster, metric } from "./cluster.ts";
import { Pool } from "./wire-client.ts";

const connections = 24;

type Draw = <T>(from: readonly T[]) => T;

/** A head and a body that must be refused. */
interface Broken {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string | null;
}

const paths = endpoints.flatMap((endpoint) => pathsOf(endpoint).map((path) => ({ ...endpoint, path })));
const bodied = paths.filter(({ body }) => body !== null);
const named = paths.filter(({ path }) => /\{(?:service|namespace|id)\}/.test(path));

const badNames = [
  "-x",
  ".x",
  "%00",
  "%ff",
  "%zz",
  "a%2Fb",
  "x".repeat(129),
  "%20",
  "é".normalize(),
  "__proto__",
  "a b",
];
const badJson = [
  "{",
  "[",
  '{"host":}',
  "nul",
  '"',
  "[".repeat(40),
  '{"a":1,"a":1}',
  "\u0000",
  '{"__proto__":{}}',
  "{}x",
  "7",
  '"x"',
  "[]",
  "true",
];
const badFields: readonly unknown[] = [
  null,
  -1,
  1e308,
  "x".repeat(3_000),
  {},
  [[]],
  [null],
  0.5,
  true,
  "\u0000",
];
const fieldNames = [
  "host",
  "port",
  "weight",
  "tags",
  "metadata",
  "status",
  "ttlMs",
  "session",
  "incarnation",
  "reason",
  "renewals",
  "operations",
  "instances",
  "to",
  "id",
  "peerUrl",
  "nonsense",
  "constructor",
];

function fill(path: string, draw: Draw): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === "code" ? "nonsense" : draw([exampleNames[name] ?? "x"]),
  );
}

const kinds: readonly ((draw: Draw) => Broken)[] = [
  // A path that names nothing, or something that may not be a name.
  (draw) => {
    const { method, path } = draw(named);
    const target = path.replaceAll(/\{\w+\}/g, () =>
      draw(badNames)
        .replaceAll(/[^\x21-\x7e]/g, "~")
        .replace("__proto__", "_x"),
    );
    return { method, target, headers: [], body: draw([null, "{}"]) };
  },
  // A parameter that does not exist, or a value that cannot be.
  (draw) => {
    const { method, path } = draw(paths);
    const query = draw([
      "nonsense=1",
      "limit=-1&nonsense",
      "timeoutMs=0&x",
      "waitMs=1e9&y=",
      "consistency=maybe&z",
      "%zz=1",
      "meta.=x&w",
      "__proto__=1",
      "status=gone&q=1",
    ]);
    return { method, target: `${fill(path, draw)}?${query}`, headers: [], body: null };
  },
  // A body that is no JSON, or too deep, or of another shape.
  (draw) => {
    const { method, path } = draw(bodied);
    return {
      method,
      target: `${fill(path, draw)}?nonsense=1`.replace(/\?nonsense=1$/, draw(["?nonsense=1", ""])),
      headers: ["Content-Type: application/json"],
      body: draw(badJson.slice(0, 10)),
    };
  },
  // Fields that do not exist, with values that cannot be.
  (draw) => {
    const { method, path } = draw(bodied);
    const fields = Array.from({ length: 4 }, () => [draw(fieldNames), draw(badFields)]);
    const body = { ...(Object.fromEntries(fields) as object), unknownField: draw(badFields) };
    return {
      method,
      target: fill(path, draw),
      headers: ["Content-Type: application/json"],
      body: JSON.stringify(body),
    };
  },
  // Headers that mean nothing, or not this.
  (draw) => {
    const { method, path } = draw(bodied);
    const header = draw([
      "Content-Type: text/plain",
      "Content-Type: application/json; charset=utf-16",
      "Content-Encoding: gzip",
      "If-Match: 7",
      "If-Match: *",
      'If-None-Match: "x"',
      `Idempotency-Key: ${"x".repeat(65)}`,
    ]);
    return {
      method,
      target: fill(path, draw),
      headers: [header, ...(header.startsWith("Content-Type") ? [] : ["Content-Type: application/json"])],
      body: '{"nonsense":1}',
    };
  },
  // Methods and paths that do not exist.
  (draw) => ({
    method: draw(["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]),
    target: draw([
      "/v1/nothing",
      "/v2/services",
      "/",
      "/v1//services",
      "/v1/services/",
      "/V1/services",
      "/%",
      "/..",
      "/v1/services/web/instances/a/../b",
      "/docs/../etc",
    ]),
    headers: [],
    body: draw([null, "x"]),
  }),
];

function encodeBroken({ method, target, headers, body }: Broken): string {
  const length = body === null ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`${method} ${target} HTTP/1.1`, "Host: x", ...headers, ...length, "", body ?? ""].join("\r\n");
}

/** Bytes that are not HTTP at all: the connection must end, and nothing else. */
const noHttp = [
  "GARBAGE\r\n\r\n",
  "GET / HTTP/9.9\r\n\r\n",
  "GET /x HTTP/1.1\r\nHost x\r\n\r\n",
  "\u0000\u0001\u0002\r\n\r\n",
  "PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
  "PUT /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
];

export async function malformed(options: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  const count = Number(options["count"] ?? 1_000_000);
  const seed = Number(options["seed"] ?? Math.floor(Math.random() * 0x7fff_ffff));
  console.log(`seed=${seed}; replay: ./scripts/bench malformed --count ${count} --seed ${seed}`);
  const cluster = await BenchCluster.start();
  try {
    return await run(cluster, count, seededRandom(seed));
  } finally {
    await cluster.end();
  }
}

async function run({ members }: BenchCluster, count: number, random: () => number): Promise<boolean> {
  const draw: Draw = (from) => from[Math.floor(random() * from.length)] as (typeof from)[number];
  const [first] = members;
  if (first === undefined) throw new Error("there are three members");
  await seedRegistry(first);
  const before = await pictures(members);
  const pools = members.map(({ clientUrl }) => new Pool(clientUrl, connections));
  const statuses = new Map<number, number>();
  const unexpected: string[] = [];
  const beginMs = performance.now();
  let sent = 0;
  const client = async (number: number): Promise<void> => {
    const pool = pools[number % pools.length];
    while (sent < count) {
      sent += 1;
      if (sent % 100_000 === 0)
        console.log(`  ${sent} after ${Math.round((performance.now() - beginMs) / 1000)} s`);
      if (sent % 500 === 0) await sendNoHttp(draw(members), draw(noHttp));
      const bytes = encodeBroken(draw(kinds)(draw));
      await new Promise<void>((resolve) => {
        const isSent = pool?.send(bytes, (status) => {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          const isFine = status >= 400 && status < 500;
          const isBusy = status === 503;
          if (!isFine && !isBusy && unexpected.length < 10)
            unexpected.push(`${status}: ${JSON.stringify(bytes.slice(0, 300))}`);
          resolve();
        });
        if (isSent !== true) setImmediate(resolve);
      });
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, i) => client(i)));
  for (const pool of pools) pool.close();
  const after = await pictures(members);
  const isSame = JSON.stringify(before) === JSON.stringify(after);
  for (const member of members) member.mustNotHaveCrashed();
  const defects = members.filter((member) => member.log.includes("failed by a defect")).map(({ id }) => id);
  const seconds = (performance.now() - beginMs) / 1000;
  console.log(`${sent} malformed requests in ${seconds.toFixed(0)} s (${(sent / seconds).toFixed(0)}/s)`);
  console.log(
    `  statuses     ${[...statuses]
      .toSorted(([a], [b]) => a - b)
      .map(([status, number]) => `${status}: ${number}`)
      .join(", ")}`,
  );
  console.log(`  unexpected   ${unexpected.length === 0 ? "none" : `\n${unexpected.join("\n")}`}`);
  console.log(
    `  defects      ${defects.length === 0 ? "none in any log" : `in the log of ${defects.join(", ")}`}`,
  );
  console.log(
    `  state        ${isSame ? "as before: the same answers at every member, and nothing was proposed" : `${JSON.stringify(before)} became ${JSON.stringify(after)}`}`,
  );
  return unexpected.length === 0 && defects.length === 0 && isSame && (statuses.get(500) ?? 0) === 0;
}

async function seedRegistry({ clientUrl }: MemberProcess): Promise<void> {
  const body = JSON.stringify({ host: "h", port: 1, ttlMs: 86_400_000 });
  const headers = { "content-type": "application/json" };
  for (const path of [
    "/v1/services/web/instances/web-1",
    "/v1/namespaces/team-a/services/web/instances/web-1",
  ])
    await fetch(`${clientUrl}${path}`, { method: "PUT", headers, body });
}

/**
 * Everything that a client can see of the registry, and how many writes were proposed. The state's hash is no measure here: it holds
 * cluster time, which goes on while there are leases.
 */
async function pictures(members: readonly MemberProcess[]): Promise<readonly unknown[]> {
  const seen = [
    "services",
    "services/web/instances?status=any",
    "services/web/history",
    "services/web/settings",
  ];
  const paths = seen.flatMap((path) => [`/v1/${path}`, `/v1/namespaces/team-a/${path}`]);
  return Promise.all(
    members.map(async (member) => {
      const answers = [...paths, "/v1/namespaces"].map(async (path) =>
        (await fetch(`${member.clientUrl}${path}`)).text(),
      );
      return {
        proposals: await metric(member, "rollcall_raft_proposals_total"),
        answers: await Promise.all(answers),
      };
    }),
  );
}

function sendNoHttp({ clientUrl }: MemberProcess, bytes: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(clientUrl).port) }, () =>
      socket.write(bytes),
    );
    socket.setTimeout(10_000, () => socket.destroy());
    socket
      .resume()
      .on("error", () => {})
      .once("close", () => resolve());
  });
}
