/** Seeds that once failed, with what was wrong. They are run every time, whatever else is. */

export interface KnownSeed {
  readonly seed: number;
  readonly eventsMax: number;
  /** It failed in runs of so many members, and not in the number that it draws. */
  readonly members?: number;
  /** It failed before there were ambushes, and means that run only without them. */
  readonly noAmbushes?: true;
  /** It failed before there were more ambushes, and means that run only without the later ones. */
  readonly earlyAmbushes?: true;
  readonly cause: string;
}

export const knownSeeds: readonly KnownSeed[] = [
  {
    seed: 1,
    eventsMax: 10_000,
    noAmbushes: true,
    cause: "a restart took for durable what a killed process had written and not synced",
  },
  {
    seed: 13,
    eventsMax: 10_000,
    noAmbushes: true,
    cause: "the log's reader stretched a boundary's term over entries that it knew nothing of",
  },
  {
    seed: 18,
    eventsMax: 10_000,
    noAmbushes: true,
    cause: "a snapshot that the log had overtaken took the state machine back",
  },
  {
    seed: 24,
    eventsMax: 10_000,
    noAmbushes: true,
    cause: "a snapshot that the log had overtaken took the state machine back",
  },
  {
    seed: 48,
    eventsMax: 10_000,
    noAmbushes: true,
    cause: "an installed snapshot reached beyond the durable log that contained it",
  },
  {
    seed: 11,
    eventsMax: 5000,
    noAmbushes: true,
    cause: "a floor that was only late, and lacked room, made a full disk a broken one",
  },
  {
    seed: 439,
    eventsMax: 5000,
    noAmbushes: true,
    cause: "members with an old membership refused a replaced member that it could not know",
  },
  {
    seed: 587138616,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "the completeness checker asked the leader of an old term for what a later one had committed",
  },
  {
    seed: 451,
    eventsMax: 5000,
    noAmbushes: true,
    cause: "the lease checker took a late answer to an earlier call for one to the call under way",
  },
  {
    seed: 586138612,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "the nemesis wiped every disk before anything but the founding was committed",
  },
  {
    seed: 576138626,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "the liveness check left no time for entries that everybody held and nobody had committed",
  },
  {
    seed: 312014742,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "the liveness check waited for a member that was removed while it was away",
  },
  {
    seed: 209497810,
    eventsMax: 40_000,
    noAmbushes: true,
    cause:
      "the lease checker took stamps made before the lease was committed for time in which it could expire",
  },
  {
    seed: 180702037,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "the match checker forgot the image of a member that was wiped before its log was reset",
  },
  {
    seed: 211474542,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "a learner was promoted that could not vote yet, and could not learn that it may without a leader",
  },
  {
    seed: 77024,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "recovery joined a tail that had been cut off to an image of what came in its place",
  },
  {
    seed: 543,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "a repair that was interrupted left the newest term in the floor, and the log without it",
  },
  {
    seed: 408000028,
    eventsMax: 40_000,
    noAmbushes: true,
    cause: "the election checker judged a candidate when its held messages left, and not when it campaigned",
  },
  {
    seed: 438000002,
    eventsMax: 40_000,
    noAmbushes: true,
    cause:
      "the election checker took a new leader's entries, met and lost in the turn of the vote, for what the voter held before",
  },
  {
    seed: 800000367,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "the election checker counted a vote that survived the death of whoever wrote it, in a log that was rotten before anybody ran on it",
  },
  {
    seed: 813000056,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "the election checker counted a vote that survived the death of whoever wrote it, in a log that was rotten before anybody ran on it",
  },
  {
    seed: 842000345,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "a former leader forwarded its own expiry to the next one, and its answer got lost: where one forward may be under way at a time, clients' writes waited behind it",
  },
  {
    seed: 62482085,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "the match checker asked a member for what it had acknowledged to a leader that was deposed since, and a later one had cut off",
  },
  {
    seed: 113872475,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause: "by the slowest clock a slow loop was not late enough for the pace checker to demand a hand-over",
  },
  {
    seed: 113872656,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause: "by the slowest clock a slow loop was not late enough for the pace checker to demand a hand-over",
  },
  {
    seed: 123471978,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause: "a watcher did not ask for the changes that an installed snapshot does not tell one by one",
  },
  {
    seed: 123472240,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "leaders missed their quorum again and again, and the liveness check gave leases no time for what that takes from cluster time",
  },
  {
    seed: 948000020,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "an expiry that a leader could not apply, since its disk hung, kept the next one waiting for two seconds",
  },
  {
    seed: 948000063,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "an expiry that a leader could not apply, since its disk hung, kept the next one waiting for two seconds",
  },
  {
    seed: 948000123,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "an expiry that a leader could not apply, since its disk hung, kept the next one waiting for two seconds",
  },
  {
    seed: 952000035,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "an expiry that a leader could not apply, since its disk hung, kept the next one waiting for two seconds",
  },
  {
    seed: 964000010,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "a leader wrote clock entries while it handed over, late with everything, and could not propose what they made due",
  },
  {
    seed: 985000150,
    eventsMax: 40_000,
    earlyAmbushes: true,
    cause:
      "the lease checker took a deadline for known when others' disks had committed it, and the leader's own was late by more than a second",
  },
  {
    seed: 83,
    members: 5,
    eventsMax: 40_000,
    cause:
      "an ambush waited for a write for longer than any client, and its lost answer kept the only place of a member that forwards",
  },
  {
    seed: 1143000166,
    eventsMax: 40_000,
    cause:
      "a write that waited for two elections, where every vote of the core was needed, had the time of one",
  },
  {
    seed: 1143000183,
    eventsMax: 40_000,
    cause:
      "a leader left a joint membership, committed by the plain one and was deposed, all in one turn, and the checker knew only what was before and after",
  },
];
