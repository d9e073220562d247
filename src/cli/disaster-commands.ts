/** Backup, restore, and what is left to do when a majority of the members is lost for good. */

import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { Command } from "commander";
import { contextOf } from "./context.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import { asJson } from "./output.ts";

interface NewMember {
  readonly data: string;
  readonly id: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

interface Consent {
  readonly iAcceptDataLoss?: true;
}

export function addBackupCommand(program: Command): void {
  program
    .command("backup <file>")
    .description("saves everything registered into a file, from a running member")
    .action(async (file: string, _options: unknown, command: Command) => {
      const context = contextOf(command);
      if (existsSync(file)) throw new CommandFailure(exitCodes.conflict, `${file} exists already.`);
      const unfinished = `${file}.unfinished`;
      try {
        await save(await context.api.download("/v1/cluster/backup"), unfinished);
        const { header, records } = await orFailure(async () => {
          const { readBackup } = await import("../storage/backup-file.ts");
          return readBackup(unfinished);
        });
        await rename(unfinished, file);
        const { member, clusterId, index } = header;
        const instances = records.filter(([key]) => key.startsWith("instance/")).length;
        const sentence = `${file} holds ${instances} instances of cluster ${clusterId}, as ${member} had them after entry ${index}.`;
        context.done(sentence, { ...header, instances });
      } finally {
        await rm(unfinished, { force: true });
      }
    });
}

export function addDisasterCommands(program: Command): void {
  addNewMemberOptions(
    program
      .command("restore <file>")
      .description(
        "makes a data folder of a new cluster of one member out of a backup; more members join it",
      ),
  ).action(async (file: string, options: NewMember, command: Command) => {
    const founded = await orFailure(async () => {
      const { readBackup } = await import("../storage/backup-file.ts");
      const { records } = await readBackup(file);
      return found(options, records);
    });
    print(command, founded, `Restored ${file}: ${inWords(founded, options)}`);
  });
  addNewMemberOptions(
    program
      .command("recover <dirs...>")
      .description(
        "after the loss of a majority: a new cluster out of the data folders of members that are left",
      )
      .option("--i-accept-data-loss", "what only the lost members knew is gone"),
  ).action(async (dirs: readonly string[], options: NewMember & Consent, command: Command) => {
    const founded = await orFailure(() => recover(dirs, options));
    print(command, founded, `Recovered: ${inWords(founded, options)}`);
  });
}

function addNewMemberOptions(command: Command): Command {
  return command
    .requiredOption("--data <dir>", "the data folder to make; must be empty or missing")
    .requiredOption("--id <name>", "the name of the new cluster's first member")
    .option("--peer-url <url>", "where other members will reach it", "http://127.0.0.1:7501")
    .option("--client-url <url>", "where clients will reach it", "http://127.0.0.1:7401");
}

type Founded = Awaited<ReturnType<typeof found>>;

async function found(
  { data, id, peerUrl, clientUrl }: NewMember,
  records: readonly (readonly [string, unknown])[],
): Promise<{
  readonly clusterId: string;
  readonly revisionBefore: number;
  readonly revision: number;
  readonly instances: number;
}> {
  const { foundCluster } = await import("../storage/new-cluster.ts");
  return foundCluster({ dir: data, member: { id, peerUrl, clientUrl }, records });
}

async function recover(dirs: readonly string[], options: NewMember & Consent): Promise<Founded> {
  const { mostKnowing, readSurvivor } = await import("../storage/survivors.ts");
  const survivors = await Promise.all(dirs.map(readSurvivor));
  for (const { dir, memberId, last, damage } of survivors) {
    const state = damage.length === 0 ? "nothing damaged" : `damaged: ${damage.join("; ")}`;
    console.error(`${dir}: member ${memberId}, last entry ${last.index} of term ${last.term}, ${state}`);
  }
  const best = mostKnowing(survivors);
  const records = best?.records() ?? null;
  if (best === null || records === null)
    throw new CommandFailure(
      exitCodes.failed,
      "None of these folders holds a whole state; is there a backup?",
    );
  if (options.iAcceptDataLoss !== true) {
    throw new CommandFailure(
      exitCodes.conflict,
      `${best.dir} knows most. Members that are not listed here may have known more: what only they knew would be lost for good. First end all members of the old cluster; then repeat this with --i-accept-data-loss.`,
    );
  }
  return found(options, records);
}

function inWords(founded: Founded, { data, id }: NewMember): string {
  const { clusterId, instances, revision, revisionBefore } = founded;
  return `${instances} instances in the new cluster ${clusterId}, revision ${revision} after ${revisionBefore}. Start it: rollcall serve --id ${id} --data ${data}; then start others with --join. Members and clients of the old cluster are refused or begin anew.`;
}

function print(command: Command, founded: Founded, sentence: string): void {
  const isJson = command.optsWithGlobals<{ readonly output: string }>().output === "json";
  console.log(isJson ? asJson(founded) : sentence);
}

/** A member's refusal, as the end of a command. */
async function orFailure<T>(work: () => Promise<T>): Promise<T> {
  const { StorageRefusal } = await import("../storage/refusal.ts");
  try {
    return await work();
  } catch (error) {
    if (error instanceof StorageRefusal) throw new CommandFailure(exitCodes.failed, `${error.message}.`);
    throw error;
  }
}

async function save(body: ReadableStream<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    for await (const part of body) await file.write(part);
    await file.sync();
  } catch (error) {
    const why = (error as Error).message;
    throw new CommandFailure(exitCodes.unavailable, `The backup broke off: ${why}. Try again.`);
  } finally {
    await file.close();
  }
}
