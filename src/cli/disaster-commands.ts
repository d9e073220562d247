/** Backup, restore, and what is left to do when a majority of the members is lost for good. */

import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { Survivor } from "../storage/survivors.ts";
import { memberUrl } from "./arguments.ts";
import { contextOf } from "./context.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import { asJson, asTable, type Column } from "./output.ts";

interface NewMember {
  readonly data: string;
  readonly id: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** Where the new cluster is to be made need be said only with the consent. */
type Recovery =
  | (NewMember & { readonly iAcceptDataLoss: true })
  | (Partial<NewMember> & { readonly iAcceptDataLoss?: undefined });

export function addBackupCommand(program: Command): void {
  program
    .command("backup <file>")
    .description("saves everything registered into a file, from a running member")
    .action(async (file: string, _options: unknown, command: Command) => {
      const context = contextOf(command);
      if (existsSync(file)) throw new CommandFailure(exitCodes.conflict, `${file} exists already.`);
      const parts = await context.api.download("/v1/cluster/backup");
      const { header, size } = await orFailure(async () => {
        const { saveBackup } = await import("../storage/save-backup.ts");
        return saveBackup(parts, file);
      });
      const { member, clusterId, index } = header;
      const sentence = `${file} holds ${size.instances} instances at revision ${size.revision} of cluster ${clusterId}, as ${member} had them after entry ${index}.`;
      context.done(sentence, { ...header, ...size });
    });
}

export function addDisasterCommands(program: Command): void {
  addAddressOptions(
    program
      .command("restore <file>")
      .description("makes a data folder of a new cluster of one member out of a backup; more members join it")
      .requiredOption(...dataOption)
      .requiredOption(...idOption),
  ).action(async (file: string, options: NewMember, command: Command) => {
    const founded = await orFailure(async () => {
      const { readBackup } = await import("../storage/backup-file.ts");
      const { records } = await readBackup(file);
      return found(options, records);
    });
    print(command, founded, `Restored ${file}: ${inWords(founded, options)}`);
  });
  addAddressOptions(
    program
      .command("recover <dirs...>")
      .description(
        "after the loss of a majority: a new cluster out of the data folders of members that are left",
      )
      .option("--i-accept-data-loss", "what only the lost members knew is gone; wants --data and --id")
      .option(...dataOption)
      .option(...idOption)
      .addHelpText("after", recoverHelp),
  ).action(async (dirs: readonly string[], options: Recovery, command: Command) => {
    mustSayWhere(options, command);
    const { survivors, best } = await orFailure(() => look(dirs));
    const rows = survivors.map((survivor) => rowOf(survivor, survivor === best));
    if (!isJson(command)) console.log(asTable(rows, survivorColumns, { forPeople: true }));
    if (!isJson(command)) for (const row of rows.flatMap(damageLines)) console.log(row);
    if (best === null)
      throw new CommandFailure(
        exitCodes.failed,
        "None of these folders holds a whole state; is there a backup?",
      );
    if (options.iAcceptDataLoss !== true) {
      if (isJson(command)) console.log(asJson({ survivors: rows }));
      throw new CommandFailure(exitCodes.conflict, consentInWords(best));
    }
    const founded = await orFailure(() => found(options, best.records() ?? []));
    print(
      command,
      { ...founded, survivors: rows },
      `Recovered from ${best.dir}: ${inWords(founded, options)}`,
    );
  });
}

const recoverHelp = `
Without --i-accept-data-loss it only shows what each folder holds, and changes nothing. The new cluster begins with the folder whose log
ends latest (by term, then index), and applies all of it; to begin with another one, name only that one. Every member of the old cluster
has to be stopped. Others then join with: rollcall serve --join URL`;

/** What an operator needs to choose. */
interface SurvivorRow {
  readonly member: string;
  readonly folder: string;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly appliedIndex: number;
  /** Null when what the folder holds does not make up a state. */
  readonly instances: number | null;
  readonly revision: number | null;
  readonly damage: readonly string[];
  /** Whether the new cluster begins with it. */
  readonly knowsMost: boolean;
}

function rowOf(survivor: Survivor, knowsMost: boolean): SurvivorRow {
  const { memberId: member, dir: folder, last, appliedIndex, state, damage } = survivor;
  const { instances, revision } = state ?? { instances: null, revision: null };
  return {
    member,
    folder,
    lastIndex: last.index,
    lastTerm: last.term,
    appliedIndex,
    instances,
    revision,
    damage,
    knowsMost,
  };
}

const survivorColumns: readonly Column<SurvivorRow>[] = [
  { title: "MEMBER", of: ({ member }) => member },
  { title: "LAST ENTRY", of: ({ lastIndex }) => lastIndex },
  { title: "OF TERM", of: ({ lastTerm }) => lastTerm },
  { title: "IMAGE AT", of: ({ appliedIndex }) => appliedIndex },
  { title: "INSTANCES", of: ({ instances }) => instances },
  { title: "REVISION", of: ({ revision }) => revision },
  { title: "DAMAGED", of: ({ damage }) => damage.length > 0 },
  { title: "KNOWS MOST", of: ({ knowsMost }) => knowsMost },
  { title: "FOLDER", of: ({ folder }) => folder },
];

function damageLines({ folder, damage }: SurvivorRow): readonly string[] {
  return damage.map((what) => `${folder}: ${what}`);
}

function consentInWords({ dir }: Survivor): string {
  return `${dir} knows most, and the new cluster would begin with it. Members that are not listed here may have known more: what only they knew would be lost for good. First end all members of the old cluster; then repeat this with --i-accept-data-loss, --data and --id.`;
}

/** Of a member that is started without saying where it listens. */
const usualUrls = { peer: "http://127.0.0.1:7501", client: "http://127.0.0.1:7401" } as const;
const dataOption = ["--data <dir>", "the data folder to make; must be empty or missing"] as const;
const idOption = ["--id <name>", "the name of the new cluster's first member"] as const;

function mustSayWhere({ iAcceptDataLoss, data, id }: Recovery, command: Command): void {
  if (iAcceptDataLoss === true && (data === undefined || id === undefined))
    command.error("error: --i-accept-data-loss wants --data and --id: where the new cluster begins");
}

function addAddressOptions(command: Command): Command {
  return command
    .option("--peer-url <url>", "where other members will reach it", memberUrl, usualUrls.peer)
    .option("--client-url <url>", "where clients will reach it", memberUrl, usualUrls.client);
}

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

/** One after the other: a folder that is named twice is in use while it is read. */
async function look(
  dirs: readonly string[],
): Promise<{ readonly survivors: readonly Survivor[]; readonly best: Survivor | null }> {
  const { mostKnowing, readSurvivor } = await import("../storage/survivors.ts");
  const survivors: Survivor[] = [];
  for (const dir of dirs) survivors.push(await readSurvivor(dir));
  return { survivors, best: mostKnowing(survivors) };
}

type Founded = Awaited<ReturnType<typeof found>>;

function inWords(founded: Founded, options: NewMember): string {
  const { data, id, clientUrl } = options;
  const { clusterId, instances, revision, revisionBefore } = founded;
  return `${instances} instances in the new cluster ${clusterId}, revision ${revision} after ${revisionBefore}. Start it: rollcall serve --id ${id} --data ${data}${listenFlags(options)}; then start others, with empty data folders and --join ${clientUrl}. Members of the old cluster are refused, and clients are sent everything anew.`;
}

/** Those that serve needs to be where the new cluster says that its member is. */
function listenFlags({ peerUrl, clientUrl }: NewMember): string {
  const flag = (name: string, url: string, usual: string): string =>
    url === usual ? "" : ` --${name} ${new URL(url).host}`;
  return flag("listen", clientUrl, usualUrls.client) + flag("peer-listen", peerUrl, usualUrls.peer);
}

function print(command: Command, json: unknown, sentence: string): void {
  console.log(isJson(command) ? asJson(json) : sentence);
}

function isJson(command: Command): boolean {
  return command.optsWithGlobals<{ readonly output: string }>().output === "json";
}

/** A member's refusal, as the end of a command. */
async function orFailure<T>(work: () => Promise<T>): Promise<T> {
  const { StorageRefusal } = await import("../storage/refusal.ts");
  const { BackupBrokeOffError } = await import("../storage/save-backup.ts");
  try {
    return await work();
  } catch (error) {
    if (error instanceof StorageRefusal) throw new CommandFailure(exitCodes.failed, `${error.message}.`);
    if (error instanceof BackupBrokeOffError)
      throw new CommandFailure(exitCodes.unavailable, `The backup broke off: ${error.message}. Try again.`);
    throw error;
  }
}
