// The snippet in src/client/README.md runs as it stands, as a program of its own.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { FakeRegistry } from "../support/fake-registry-server.ts";

const folder = fileURLToPath(new URL("../../src/client/", import.meta.url));

test("the README's snippet registers, calls and leaves", async () => {
  const fake = await FakeRegistry.start();
  onTestFinished(() => fake.close());
  const payments = createServer((_request, response) => response.writeHead(202).end());
  await new Promise<void>((resolve) => payments.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void payments.close());
  const { port } = payments.address() as AddressInfo;
  fake.put("payments", "p1", { port });

  const snippet = /```ts\n(.*?)```/s.exec(readFileSync(join(folder, "README.md"), "utf8"))?.[1] ?? "";
  const temporary = mkdtempSync(join(tmpdir(), "rollcall-snippet-"));
  onTestFinished(() => rmSync(temporary, { recursive: true }));
  const program = join(temporary, "snippet.ts");
  const here = snippet
    .replace(`"rollcall/client"`, JSON.stringify(join(folder, "registry.ts")))
    .replace(/servers: \[.*\]/, `servers: ${JSON.stringify(fake.urls)}`);
  writeFileSync(program, here);

  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  expect(stdout).toBe(`would call http://127.0.0.1:${port}\n202 true\n`);
  expect(fake.requests("PUT", "/checkout/").map(({ body }) => body)).toMatchObject([{ port: 8080 }]);
  expect(fake.requests("DELETE", "/checkout/")).toHaveLength(1);
});
