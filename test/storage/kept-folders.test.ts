// Data folders as each format version has written them, kept for good: a newer program opens them all.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { must } from "../../src/raft/assert.ts";
import { Registry } from "../../src/registry/registry.ts";
import { commandCodec } from "../../src/storage/command-codec.ts";
import { openMemberStorage } from "../../src/storage/open-member.ts";

const kept = new URL("../fixtures/data-folders/", import.meta.url);

/** The folder from its file, which holds each file's bytes by its path. */
function unpacked(name: string): string {
  const files = JSON.parse(fs.readFileSync(new URL(name, kept), "utf8")) as Record<string, string>;
  const root = fs.mkdtempSync(join(tmpdir(), "rollcall-kept-"));
  onTestFinished(() => fs.rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(root, path)), { recursive: true });
    fs.writeFileSync(join(root, path), Buffer.from(text, "base64"));
  }
  return root;
}

test.each(fs.readdirSync(kept))("%s is opened, with everything in it", async (name) => {
  const storage = await openMemberStorage({ dir: unpacked(name), memberId: "n1" });
  expect(storage.report).toMatchObject({ damage: [], recovering: null, tornBytes: 0 });
  expect(storage.identity).toMatchObject({ clusterId: "bench", memberId: "n1" });
  const { boot, image } = must(storage.recovered, "a member");
  const registry = Registry.load(image.records);
  expect(registry.instanceCount).toBe(20);
  expect(boot.entries).toHaveLength(30);
  for (const entry of boot.entries) {
    if (entry.kind === "command") registry.apply(commandCodec.decode(entry.payload), entry.clusterTime);
  }
  expect(registry.instanceCount).toBe(20);
  expect(registry.revision).toBe(50);
  await storage.close();
});
