import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { run } from "../../src/cli/program.ts";
import { groupedOptions } from "../../src/cli/serve.ts";
import { optionNames } from "../../src/config/options.ts";
import { fakeApi, nobody, type FakeAnswer } from "./fake-api.ts";

let printed = "";
let complained = "";

beforeEach(() => {
  printed = "";
  complained = "";
  vi.spyOn(console, "log").mockImplementation((line: string) => void (printed += `${line}\n`));
  vi.spyOn(console, "error").mockImplementation((line: string) => void (complained += `${line}\n`));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    complained += String(text);
    return true;
  });
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});

const member = (id: string, fields: object = {}): object => ({
  id,
  role: "follower",
  voter: true,
  clientUrl: `http://${id}:7401`,
  peerUrl: `http://${id}:7501`,
  reachable: true,
  lastContactMs: 3,
  matchIndex: 9,
  appliedIndex: 9,
  version: "0.1.0",
  ...fields,
});

const cluster = {
  clusterId: "c1",
  member: "n1",
  leader: "n2",
  term: 7,
  commitIndex: 9,
  appliedIndex: 9,
  revision: 5,
  quorum: 2,
  failuresTolerated: 1,
  members: [
    member("n1"),
    member("n2", { role: "leader" }),
    member("n3", { reachable: false, appliedIndex: null }),
  ],
};

const services = [
  {
    namespace: "default",
    name: "web",
    revision: 4,
    protected: false,
    instances: { total: 2, up: 1, starting: 0, draining: 0, down: 1, suspect: 0 },
  },
];

const instances = {
  namespace: "default",
  service: "web",
  revision: 4,
  protected: false,
  instances: [{ id: "a1", host: "10.0.0.1", port: 80, status: "up", suspect: true, tags: ["eu", "blue"] }],
};

const answers: Readonly<Record<string, FakeAnswer>> = {
  "GET /v1/cluster": { body: cluster },
  "GET /v1/namespaces/default/services": { body: { services, revision: 4 } },
  "GET /v1/namespaces/default/services/web/instances?status=any": { body: instances },
  "PUT /v1/namespaces/default/services/web/instances/a1": {
    status: 201,
    body: { revision: 4, created: true, changed: true },
  },
  "DELETE /v1/namespaces/default/services/web/instances/a1": { body: { revision: 6 } },
  "POST /v1/cluster/leader": { body: { leader: "n2", term: 4 } },
  "POST /v1/cluster/members": { body: cluster },
  "POST /v1/cluster/members/n3/promote": { body: cluster },
  "DELETE /v1/cluster/members/n3": { body: cluster },
  "GET /readyz": { body: "[+]leader ok" },
};

function usual(): ReturnType<typeof fakeApi> {
  return fakeApi(
    (question) => answers[question] ?? { status: 404, body: { detail: `nothing at ${question}` } },
  );
}

test("it says its version", async () => {
  expect(await run(["--version"])).toBe(0);
  expect(printed).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("status says who leads, and what may still fail", async () => {
  const { url } = await usual();
  expect(await run(["status", "-s", url])).toBe(0);
  expect(printed).toBe(
    "3 voters, n2 leads in term 7, revision 5; can lose 1 more and go on.\n" +
      "n1\tfollower\tyes\tyes\t9\thttp://n1:7401\thttp://n1:7501\t0.1.0\n" +
      "n2\tleader\tyes\tyes\t9\thttp://n2:7401\thttp://n2:7501\t0.1.0\n" +
      "n3\tfollower\tyes\tno\t\thttp://n3:7401\thttp://n3:7501\t0.1.0\n",
  );
});

test("services and instances are a line each", async () => {
  const { url } = await usual();
  expect(await run(["services", "-s", url])).toBe(0);
  expect(await run(["instances", "web", "-s", url])).toBe(0);
  expect(printed).toBe("web\t2\t1\t1\t4\tno\na1\t10.0.0.1:80\tup, suspect\t\t\teu,blue\n");
});

test("register sends what was given, and nothing that was not", async () => {
  const { url, asked } = await usual();
  const flags = [
    "--host",
    "10.0.0.1",
    "--port",
    "80",
    "--ttl",
    "5000",
    "--tag",
    "eu",
    "--tag",
    "blue",
    "--meta",
    "k=v=w",
  ];
  expect(await run(["register", "web", "a1", ...flags, "-s", url])).toBe(0);
  const body = '{"host":"10.0.0.1","port":80,"ttlMs":5000,"tags":["eu","blue"],"metadata":{"k":"v=w"}}';
  expect(asked).toEqual([`PUT /v1/namespaces/default/services/web/instances/a1 ${body}`]);
  expect(printed).toBe("web/a1 registered (revision 4).\n");
});

test("metadata may have an equals sign in its value, and nothing behind it", async () => {
  const { url, asked } = await usual();
  const flags = ["--host", "h", "--port", "1", "--meta", "a=b=c", "--meta", "empty="];
  expect(await run(["register", "web", "a1", ...flags, "-s", url])).toBe(0);
  expect(asked[0]).toContain('"metadata":{"a":"b=c","empty":""}');
});

test("status without a leader does not say that writes still work", async () => {
  const { url } = await fakeApi(() => ({ body: { ...cluster, leader: null, failuresTolerated: 0 } }));
  expect(await run(["status", "-s", url])).toBe(0);
  expect(printed).toContain("no leader, revision 5; no writes until a majority of the voters is up");
});

test("a voter is not promoted again, which would be waited out as a conflict", async () => {
  const { url, asked } = await usual();
  expect(await run(["member", "promote", "n2", "-s", url])).toBe(0);
  expect(printed).toBe("n2 is a voter already.\n");
  expect(asked).toEqual(["GET /v1/cluster"]);
});

test("a port that no HTTP client may use has got nothing", async () => {
  const forbidden = "http://127.0.0.1:6000";
  expect(await run(["deregister", "web", "a1", "-s", forbidden])).toBe(5);
  expect(complained).toContain("no HTTP client may use that port");
});

const everyCommand: readonly (readonly string[])[] = [
  ["status"],
  ["members"],
  ["services"],
  ["instances", "web"],
  ["register", "web", "a1", "--host", "h", "--port", "1"],
  ["deregister", "web", "a1"],
  ["transfer", "n2"],
  ["member", "add", "n3", "--peer-url", "http://n3:1", "--client-url", "http://n3:2"],
  ["member", "promote", "n3"],
  ["member", "remove", "n3"],
  ["member", "replace", "n3"],
  ["wait", "ready"],
  ["wait", "leader"],
  ["check", "ready"],
  ["check", "leader"],
  ["options"],
];

test.each(everyCommand)("%s %s prints JSON when it is asked to", async (...command) => {
  const { url } = await usual();
  const status = await run([...command.filter((part) => part !== undefined), "-s", url, "-o", "json"]);
  expect(complained).toBe("");
  expect(status).toBe(0);
  expect(() => JSON.parse(printed) as unknown).not.toThrow();
});

test("replace removes the old incarnation, adds the new one, and promotes it when the cluster is willing", async () => {
  const { url, asked } = await fakeApi((question, times) => {
    const isEarly = question.startsWith("POST") && times < 2;
    return isEarly
      ? { status: 409, body: { code: "conflict", detail: "not yet" } }
      : (answers[question] ?? {});
  });
  expect(await run(["member", "replace", "n3", "-s", url])).toBe(0);
  const add = 'POST /v1/cluster/members {"id":"n3","peerUrl":"http://n3:7501","clientUrl":"http://n3:7401"}';
  const promote = "POST /v1/cluster/members/n3/promote";
  expect(asked).toEqual([
    "GET /v1/cluster",
    "DELETE /v1/cluster/members/n3",
    add,
    add,
    add,
    promote,
    promote,
    promote,
  ]);
});

test("replace leaves a healthy member alone, unless it is forced", async () => {
  const { url, asked } = await usual();
  expect(await run(["member", "replace", "n1", "-s", url])).toBe(4);
  expect(complained).toContain("n1 is reachable and a member in good standing");
  expect(asked).toEqual(["GET /v1/cluster"]);
});

test("check and wait say what is missing", async () => {
  const { url } = await fakeApi(() => ({ status: 503, body: "[-]leader no leader is known" }));
  expect(await run(["check", "ready", "-s", url])).toBe(1);
  expect(await run(["wait", "ready", "--for", "150", "-s", url])).toBe(5);
  expect(complained).toContain("[-]leader no leader is known");
  expect(complained).toContain("Not ready after 150 ms.");
});

test.each([
  [400, { outcome: "not_applied" }, 8],
  [401, {}, 7],
  [404, { outcome: "none" }, 3],
  [409, {}, 4],
  [412, {}, 4],
  [413, {}, 8],
  [503, { outcome: "not_applied" }, 5],
  [504, { outcome: "unknown" }, 6],
  [500, { outcome: "unknown" }, 6],
  [500, {}, 1],
  [507, { outcome: "not_applied" }, 1],
])("an answer with status %d and %j ends with exit status %d", async (status, problem, exitStatus) => {
  const { url } = await fakeApi(() => ({ status, body: { detail: "this is why", ...problem } }));
  expect(await run(["deregister", "web", "a1", "-s", url])).toBe(exitStatus);
  expect(complained).toContain(`rollcall: ${url}: this is why`);
});

test("every field that is wrong is told", async () => {
  const errors = [
    { pointer: "/port", detail: "must be a number" },
    { pointer: "/host", detail: "is missing" },
  ];
  const { url } = await fakeApi(() => ({ status: 400, body: { detail: "no", errors } }));
  expect(await run(["deregister", "web", "a1", "-s", url])).toBe(8);
  expect(complained).toBe(`rollcall: ${url}: no\n  /port: must be a number\n  /host: is missing\n`);
});

test("a member that does not answer, or has no leader, is passed over", async () => {
  const away = await nobody();
  const leaderless = await fakeApi(() => ({ status: 503, body: { detail: "no leader" } }));
  const { url } = await usual();
  expect(await run(["deregister", "web", "a1", "-s", `${away},${leaderless.url},${url}`])).toBe(0);
  expect(leaderless.asked).toHaveLength(1);
  expect(await run(["services", "-s", away])).toBe(5);
  expect(complained).toContain(`No member answers (${away}: connection refused). Is it running?`);
});

test("a write whose connection breaks is not sent to another member: it may have taken effect", async () => {
  const broken = await fakeApi(() => ({ breaks: true }));
  const { url, asked } = await usual();
  expect(await run(["deregister", "web", "a1", "-s", `${broken.url},${url}`])).toBe(6);
  expect(asked).toEqual([]);
  expect(await run(["services", "-s", `${broken.url},${url}`])).toBe(0);
});

test.each([
  [["statsu"], /Did you mean status\?/],
  [["serve", "--electoin-ms", "5"], /Did you mean --election-ms\?/],
  [["register", "web", "a1", "--host", "h"], /--port/],
  [["wait", "sunshine"], /Allowed choices are ready, leader/],
  [["status", "-o", "yaml"], /Allowed choices are table, json/],
  [["status", "--timeout", "soon"], /--timeout must be a number/],
  [["wait", "ready", "--for", "long"], /--for.* must be a whole number/],
  [["register", "web", "a1", "--host", "h", "--port", "http"], /--port.* must be a whole number/],
  [["register", "web", "a1", "--host", "h", "--port", "1", "--ttl", "1m"], /--ttl.* must be a whole number/],
  [
    ["register", "web", "a1", "--host", "h", "--port", "1", "--weight", "-1"],
    /--weight.* must be a whole number/,
  ],
  [["register", "web", "a1", "--host", "h", "--port", "1", "--meta", "colour"], /--meta.* must be KEY=VALUE/],
  [["recover", "some-folder", "--i-accept-data-loss"], /wants --data and --id/],
  [["restore", "file", "--data", "d", "--id", "n1", "--peer-url", "n1:7501"], /must be http:\/\/HOST:PORT/],
])("%j is wrong usage", async (args, words) => {
  expect(await run(args)).toBe(2);
  expect(complained).toMatch(words);
});

test("serve has a flag for every option, each in a group", async () => {
  expect([...groupedOptions].toSorted()).toEqual([...optionNames].toSorted());
  expect(await run(["serve", "--help"])).toBe(0);
  expect(printed).toMatch(/The cluster:\n +--members <ID=URL,...>/);
});

test("inspect of what is not there, or is neither a folder nor a backup, is told", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-inspect-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "file");
  writeFileSync(file, "");
  for (const path of [join(folder, "nothing"), join(file, "below")]) {
    expect(await run(["inspect", path])).toBe(3);
    expect(complained).toContain(`There is no ${path}.`);
  }
  expect(await run(["inspect", file])).toBe(1);
  expect(complained).toContain(`${file} is no backup, or it is damaged`);
  rmSync(file);
  expect(await run(["inspect", folder])).toBe(0);
  expect(printed).toContain("empty; a member that starts here is a new one");
  expect(await run(["inspect", folder, "--entries", "many"])).toBe(2);
});

test("a backup to where no file can be made is refused in a sentence", async () => {
  const api = await fakeApi(() => ({ body: "what a member sends" }));
  const file = join(tmpdir(), "rollcall-no-such-folder", "registry.backup");
  expect(await run(["--server", api.url, "backup", file])).toBe(1);
  expect(complained).toMatch(/^rollcall: no backup can be written there: ENOENT.*\.\n$/);
});
