/** The cluster itself: who is in it, who leads, and what operators ask of it. */

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ClusterPicture, RegistryMember } from "../../replica/member.ts";
import { RollcallError } from "../../lib/errors.ts";
import * as answers from "../answer-schemas.ts";
import { json, type Answer } from "../answer.ts";
import { body, optionalBody, read, write, type MemberEndpoint } from "../endpoint.ts";
import { name } from "../schema-parts.ts";
import { leadership, newMember } from "../schemas.ts";
import { policies } from "../policy.ts";

export const getCluster: MemberEndpoint = read({
  id: "getCluster",
  policy: policies.inspectMember,
  kind: "diagnostic",
  path: "/v1/cluster",
  summary: "This member's picture of the cluster; rows of others are as the leader sees them.",
  params: {},
  query: {},
  answers: [{ status: 200, description: "The cluster.", schema: answers.cluster }],
  errors: [],
  handle: ({ api }) => pictureAnswer(api.member),
});

export const getHash: MemberEndpoint = read({
  id: "getStateHash",
  policy: policies.inspectMember,
  kind: "diagnostic",
  path: "/v1/cluster/hash",
  summary: "A hash of everything replicated; equal on all members at equal appliedIndex.",
  params: {},
  query: {},
  answers: [{ status: 200, description: "The hash.", schema: answers.stateHash }],
  errors: [],
  handle: async ({ api: { member } }) => {
    const { raft } = await member.cluster();
    // Still in the turn in which the picture was taken, so the index is the hashed state's.
    const { registry } = member;
    return json(200, {
      member: member.id,
      appliedIndex: raft.appliedIndex,
      revision: registry.revision,
      hash: registry.stateHash(),
    });
  },
});

export const addMember: MemberEndpoint = write({
  id: "addMember",
  policy: policies.operateCluster,
  method: "POST",
  path: "/v1/cluster/members",
  summary: "Add a learner: it gets the log, and does not count until it is promoted.",
  params: {},
  query: {},
  keepsResult: false,
  body: body(newMember),
  answers: [{ status: 200, description: "The cluster with it.", schema: answers.cluster }],
  errors: ["conflict"],
  handle: async ({ api, body: { id, peerUrl, clientUrl }, options }) => {
    await api.member
      .changeMembership({ kind: "addLearner", id, peerUrl, clientUrl }, options.timeoutMs)
      .catch((error: unknown) => refusedFor(error, api.member, id, `${id} is a member already`));
    return pictureAnswer(api.member);
  },
});

export const promoteMember: MemberEndpoint = write({
  id: "promoteMember",
  policy: policies.operateCluster,
  method: "POST",
  path: "/v1/cluster/members/{id}/promote",
  summary: "Make a caught-up learner a voter.",
  params: { id: name },
  query: {},
  keepsResult: false,
  answers: [{ status: 200, description: "The cluster with its new voter.", schema: answers.cluster }],
  errors: ["conflict", "not_found"],
  handle: async ({ api, params, options }) => {
    await mustKnow(api.member, params.id);
    const { id } = params;
    await api.member
      .changeMembership({ kind: "promote", id }, options.timeoutMs)
      .catch((error: unknown) => refusedFor(error, api.member, id, `${id} is a voter already`, isVoter));
    return pictureAnswer(api.member);
  },
});

export const removeMember: MemberEndpoint = write({
  id: "removeMember",
  policy: policies.operateCluster,
  method: "DELETE",
  path: "/v1/cluster/members/{id}",
  summary: "Remove a member.",
  params: { id: name },
  query: {},
  keepsResult: false,
  answers: [{ status: 200, description: "The cluster without it.", schema: answers.cluster }],
  errors: ["conflict", "not_found"],
  handle: async ({ api, params, options }) => {
    await mustKnow(api.member, params.id);
    await api.member.changeMembership({ kind: "remove", id: params.id }, options.timeoutMs);
    return pictureAnswer(api.member);
  },
});

export const transferLeadership: MemberEndpoint = write({
  id: "transferLeadership",
  policy: policies.operateCluster,
  method: "POST",
  path: "/v1/cluster/leader",
  summary: "Hand leadership to a member, or to the most caught-up one. Answers when that member leads.",
  params: {},
  query: {},
  keepsResult: false,
  body: optionalBody(leadership),
  answers: [{ status: 200, description: "Who leads now, as this member knows.", schema: answers.leader }],
  errors: ["conflict", "not_found"],
  handle: async ({ api: { member }, body: { to }, options }) => {
    if (to !== undefined) await mustKnow(member, to);
    await member.transferLeadership(to ?? null, options.timeoutMs);
    return json(200, { leader: member.leader(), term: member.term() });
  },
});

export const compact: MemberEndpoint = write({
  id: "compactLog",
  policy: policies.operateCluster,
  method: "POST",
  path: "/v1/cluster/compact",
  summary: "Write this member's state image durably and drop the log that it replaces.",
  params: {},
  query: {},
  keepsResult: false,
  answers: [{ status: 200, description: "The index compacted to.", schema: answers.compacted }],
  errors: [],
  handle: async ({ api }) => json(200, { index: await api.member.compact() }),
});

export const backup: MemberEndpoint = read({
  id: "backup",
  kind: "diagnostic",
  policy: policies.operateCluster,
  path: "/v1/cluster/backup",
  summary: "A consistent backup of everything applied here, for `rollcall restore`.",
  params: {},
  query: {},
  answers: [
    { status: 200, description: "The backup.", schema: null, mediaTypes: ["application/octet-stream"] },
  ],
  errors: [],
  handle: async ({ api, exchange }) => {
    const bytes = await api.member.backup();
    exchange.park();
    return {
      kind: "stream",
      mediaType: "application/octet-stream",
      headers: { "Content-Disposition": 'attachment; filename="rollcall.backup"' },
      // Whoever gets less than all of it notices: the end holds the checksum.
      open: (response) => void pipeline(Readable.from(bytes), response).catch(() => response.destroy()),
    };
  },
});

/**
 * What stands in the way of a change, where it is plain. Told only after the refusal: this member's picture may be older than the leader's,
 * and would refuse what can be done.
 */
async function refusedFor(
  error: unknown,
  member: RegistryMember,
  id: string,
  reason: string,
  holds: (picture: ClusterPicture, id: string) => boolean = () => true,
): Promise<never> {
  const isRefusal =
    error instanceof RollcallError && (error.code === "conflict" || error.code === "unavailable");
  if (!isRefusal || error.outcome !== "not_applied") throw error;
  const picture = await member.cluster();
  if (!picture.members.some((one) => one.id === id) || !holds(picture, id)) throw error;
  throw new RollcallError("conflict", `${reason}; GET /v1/cluster shows every member.`, { cause: error });
}

async function mustKnow(member: RegistryMember, id: string): Promise<void> {
  const { members } = await member.cluster();
  if (members.some((one) => one.id === id)) return;
  const known = members.map((one) => one.id).join(", ");
  throw new RollcallError("not_found", `"${id}" is not a member of this cluster; there are ${known}.`);
}

async function pictureAnswer(member: RegistryMember): Promise<Answer> {
  const picture = await member.cluster();
  const { raft } = picture;
  return json(200, {
    clusterId: picture.clusterId,
    member: picture.member,
    leader: raft.leader,
    term: raft.term,
    commitIndex: raft.commitIndex,
    appliedIndex: raft.appliedIndex,
    revision: picture.revision,
    quorum: picture.quorum,
    failuresTolerated: picture.failuresTolerated,
    members: picture.members.map(({ id, clientUrl, peerUrl }) => ({
      id,
      role: roleOf(picture, id),
      voter: isVoter(picture, id),
      clientUrl,
      peerUrl,
      ...(id === picture.member ? ownRow(picture, member.version) : rowOf(picture, id)),
    })),
  });
}

function isVoter({ raft }: ClusterPicture, id: string): boolean {
  return raft.membership.voters.includes(id) || raft.membership.outgoing.includes(id);
}

function roleOf(picture: ClusterPicture, id: string): string {
  const { raft, peers } = picture;
  const isRecovering =
    id === picture.member ? raft.recovering : peers.find((peer) => peer.id === id)?.recovering === true;
  if (isRecovering) return "recovering";
  if (id === raft.leader) return "leader";
  return isVoter(picture, id) ? "follower" : "learner";
}

/** What a member knows about itself, whoever leads. */
function ownRow({ raft }: ClusterPicture, version: string): object {
  const { durableIndex, appliedIndex } = raft;
  return { reachable: true, lastContactMs: 0, matchIndex: durableIndex, appliedIndex, version };
}

/** Nulls where the leader could not be asked or does not know. */
function rowOf({ peers }: ClusterPicture, id: string): object {
  const peer = peers.find((row) => row.id === id);
  if (peer === undefined)
    return { reachable: false, lastContactMs: null, matchIndex: null, appliedIndex: null, version: null };
  const { reachable, lastContactMs, matchIndex, appliedIndex, version } = peer;
  return { reachable, lastContactMs, matchIndex, appliedIndex, version };
}
