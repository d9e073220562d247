/** The questions and answers of a cluster's first start as JSON, and back, checked field by field. Readers throw PeerProtocolError. */

import type { Membership } from "../raft/types.ts";
import { membershipFromArray, membershipToArray } from "../raft/wire.ts";
import { WireError } from "../raft/wire-reader.ts";
import type { BootstrapIdentity, PromiseAnswer, PromiseQuestion } from "../replica/bootstrap-port.ts";
import { Fields } from "./fields.ts";
import { PeerProtocolError } from "./protocol-error.ts";

/** More than the membership of any cluster takes. */
export const bootstrapBytesMax = 256 * 1024;

export const identityPath = "/peer/identity";
export const promisePath = "/peer/bootstrap/promise";

export function encodeIdentity(identity: BootstrapIdentity): Buffer {
  const { membership } = identity;
  return encodeJson({ ...identity, membership: membership === null ? null : membershipToArray(membership) });
}

export function readIdentity(bytes: Buffer): BootstrapIdentity {
  const fields = parse(bytes);
  return {
    memberId: fields.text("memberId"),
    incarnation: fields.text("incarnation"),
    peerUrl: fields.text("peerUrl"),
    clientUrl: fields.text("clientUrl"),
    clusterId: fields.textOrNull("clusterId"),
    promisedClusterId: fields.textOrNull("promisedClusterId"),
    membership: fields.isNull("membership") ? null : readMembership(fields.list("membership")),
    membershipIndex: fields.count("membershipIndex"),
  };
}

export function encodePromiseQuestion(question: PromiseQuestion): Buffer {
  return encodeJson(question);
}

export function readPromiseQuestion(bytes: Buffer): PromiseQuestion {
  const fields = parse(bytes);
  const minter = fields.inner("minter");
  return {
    clusterId: fields.text("clusterId"),
    minter: { id: minter.text("id"), incarnation: minter.text("incarnation") },
    replaces: fields.textOrNull("replaces"),
    members: fields
      .maps("members")
      .map((member) => ({ id: member.text("id"), peerUrl: member.text("peerUrl") })),
  };
}

export function encodePromiseAnswer(answer: PromiseAnswer): Buffer {
  return encodeJson(answer);
}

export function readPromiseAnswer(bytes: Buffer): PromiseAnswer {
  const fields = parse(bytes);
  if (fields.flag("promised")) return { promised: true, incarnation: fields.text("incarnation") };
  return { promised: false, reason: fields.text("reason") };
}

function readMembership(value: unknown): Membership {
  try {
    return membershipFromArray(value);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new PeerProtocolError(cause.message, cause);
  }
}

function encodeJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function parse(bytes: Buffer): Fields {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new PeerProtocolError("the body is not JSON", cause);
  }
  return new Fields(value, "the body");
}
