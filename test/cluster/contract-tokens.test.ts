/** A cluster that asks for tokens, as its operator sets it up: a file of digests, the same for every member. */

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { failureLimits } from "../../src/http/access.ts";
import { TestCluster } from "../support/cluster.ts";
import { Contract } from "../support/contract.ts";
import { waitFor } from "../support/wait-for.ts";

test("tokens of a file: unauthenticated, forbidden, rate limited, and the name in the history; no secret in any log", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-tokens-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "tokens.json");
  const secrets = { deployer: "s3cret-of-the-deployer", reader: "s3cret-of-the-reader" };
  const digest = (secret: string): string => createHash("sha256").update(secret).digest("hex");
  const tokens = [
    { name: "deployer", sha256: digest(secrets.deployer), rights: ["read", "write"], servicePrefix: "web" },
    { name: "reader", sha256: digest(secrets.reader), rights: ["read"] },
  ];
  writeFileSync(file, JSON.stringify({ tokens }));

  const cluster = await TestCluster.prepare({ flags: { "auth-tokens-file": file, "election-ms": "2000" } });
  for (const member of cluster.members) member.start();
  await waitFor(
    async () => {
      const ready = await Promise.all(
        cluster.members.map((member) => cluster.request(member, "GET", "/readyz")),
      );
      return ready.every(({ status }) => status === 200);
    },
    { what: "all members are ready, and say so without a token" },
  );

  const path = "/v1/services/web/instances/a";
  const body = { host: "h", port: 1 };
  for (const member of cluster.members) {
    const contract = await Contract.of(member);
    const as = async (
      secret: string | null,
      method: string,
      target: string,
      given?: object,
    ): Promise<unknown[]> => {
      const headers: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` };
      const asked = { method, path: target, headers, ...(given === undefined ? {} : { body: given }) };
      const got = await contract.ask(member, asked);
      return [got.status, got.body.code];
    };
    expect(await as(null, "PUT", path, body)).toEqual([401, "unauthenticated"]);
    expect(await as(secrets.reader, "PUT", path, body)).toEqual([403, "forbidden"]);
    expect((await as(secrets.deployer, "PUT", path, body))[1]).toBe(undefined);
    expect(await as(secrets.deployer, "PUT", "/v1/services/db/instances/a", body)).toEqual([
      403,
      "forbidden",
    ]);
    expect(await as(secrets.deployer, "POST", "/v1/cluster/compact")).toEqual([403, "forbidden"]);
    const history = await contract.ask(member, {
      method: "GET",
      path: "/v1/services/web/history",
      headers: { authorization: `Bearer ${secrets.reader}` },
    });
    expect(history.body.events).toMatchObject([{ type: "registered", by: "deployer" }]);
    for (let i = 0; i < failureLimits.failuresMax; i += 1)
      expect(await as("s3cret-guess", "GET", path)).toEqual([401, "unauthenticated"]);
    expect(await as("s3cret-guess", "GET", path)).toEqual([429, "rate_limited"]);
    expect(member.log).not.toMatch(/s3cret/);
  }
});
