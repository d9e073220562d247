import { expect, test } from "vitest";
import { defaultConfig, flagOf, optionNames, options, variableOf } from "../../src/config/options.ts";
import { optionInWords, optionsAsMarkdown } from "../../src/config/render-options.ts";
import { defaultReplicaSettings } from "../../src/replica/settings.ts";

test("a flag and a variable follow from the option's name", () => {
  expect(flagOf("peerListen")).toBe("peer-listen");
  expect(variableOf("electionMs")).toBe("ROLLCALL_ELECTION_MS");
});

test("defaults agree with those of the driver that they go to", () => {
  const config = defaultConfig();
  const { raft, ...replica } = defaultReplicaSettings;
  expect(config.tickMs).toBe(raft.tickMs);
  expect(config.heartbeatMs).toBe(raft.heartbeatTicks * raft.tickMs);
  expect(config.electionMs).toBe(raft.electionTicks * raft.tickMs);
  expect(config.electionGraceMs).toBe(raft.electionGraceMs);
  const { renewalWindowMs, flushIntervalMs, retainEntries, diskStallMs, pendingWritesMax } = replica;
  expect(config).toMatchObject({
    renewalWindowMs,
    flushIntervalMs,
    retainEntries,
    diskStallMs,
    pendingWritesMax,
  });
});

test("every option says what it does, in sentences", () => {
  for (const name of optionNames) expect(`${name}: ${options[name].help}`).toMatch(/: .{20,}\.$/s);
});

test("the Markdown table has a line for every option, and no cell breaks out of it", () => {
  const [, , ...rows] = optionsAsMarkdown().split("\n");
  expect(rows).toHaveLength(optionNames.length);
  for (const row of rows) expect(row.replaceAll("\\|", "").split("|")).toHaveLength(6);
});

test("an option in words has its help, default, limits and variable", () => {
  expect(optionInWords("tickMs")).toMatch(/Raft's clock.*\(default 50; 5 to 1,000 ms; ROLLCALL_TICK_MS\)$/);
});
