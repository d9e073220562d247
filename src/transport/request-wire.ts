/**
 * Requests between members and their replies as bytes, and back. What comes in is checked field by field: a member that runs another build, or
 * a bug, must not reach the driver in a shape that its types exclude. The results inside a reply are the registry's and are passed through.
 */

import type { MembershipChange } from "../raft/io.ts";
import type { MemberReport, PeerReply, PeerRequest, PeerView } from "../replica/ports.ts";
import { decodeBody, encodeBody } from "./codec.ts";
import { Fields } from "./fields.ts";
import { decodeFrames, encodeFrame } from "./frames.ts";
import { PeerProtocolError } from "./protocol-error.ts";

export function encodeRequest(request: PeerRequest): Buffer {
  return encodeFrame(encodeBody(request));
}

export function encodeReply(reply: PeerReply): Buffer {
  return encodeFrame(encodeBody(reply));
}

/** Throws PeerProtocolError. */
export function decodeRequest(bytes: Buffer, frameBytesMax: number): PeerRequest {
  const fields = new Fields(readSingleFrame(bytes, frameBytesMax), "a request");
  const kind = fields.text("kind");
  switch (kind) {
    case "propose": {
      const [term, budgetMs] = [fields.count("term"), fields.amount("budgetMs")];
      return { kind, term, budgetMs, payload: fields.bytes("payload") };
    }
    case "changeMembership": {
      return { kind, budgetMs: fields.amount("budgetMs"), change: readChange(fields.inner("change")) };
    }
    case "transfer": {
      return { kind, to: fields.textOrNull("to") };
    }
    case "clusterStatus": {
      return { kind };
    }
    case "awaitWatches": {
      return { kind, revision: fields.count("revision"), budgetMs: fields.amount("budgetMs") };
    }
    case "report": {
      return { kind, report: readReport(fields.inner("report")) };
    }
    default: {
      throw new PeerProtocolError(`a request of kind ${JSON.stringify(kind)} is unknown here`);
    }
  }
}

/** Throws PeerProtocolError. */
export function decodeReply(bytes: Buffer, frameBytesMax: number): PeerReply {
  const fields = new Fields(readSingleFrame(bytes, frameBytesMax), "a reply");
  const kind = fields.text("kind");
  switch (kind) {
    case "committed": {
      const [term, index] = [fields.count("term"), fields.count("index")];
      return {
        kind,
        term,
        index,
        results: fields.list("results") as (PeerReply & { kind: "committed" })["results"],
      };
    }
    case "rejected": {
      return { kind, reason: fields.oneOf("reason", rejectReasons), leader: fields.textOrNull("leader") };
    }
    case "unknown": {
      return { kind };
    }
    case "done": {
      return { kind, index: fields.count("index") };
    }
    case "clusterStatus": {
      return { kind, members: fields.maps("members").map(readView) };
    }
    case "watches": {
      return { kind, reached: fields.flag("reached") };
    }
    case "report": {
      return { kind, report: readReport(fields.inner("report")) };
    }
    default: {
      throw new PeerProtocolError(`a reply of kind ${JSON.stringify(kind)} is unknown here`);
    }
  }
}

type ReplyReason = (PeerReply & { kind: "rejected" })["reason"];

/** Complete by type: a reason without a line here does not compile. */
const rejectReasons: Readonly<Record<ReplyReason, true>> = {
  notLeader: true,
  termChanged: true,
  transferring: true,
  overloaded: true,
  notReady: true,
  changeInProgress: true,
  notCaughtUp: true,
  invalidChange: true,
  stopped: true,
  expired: true,
  malformed: true,
};

function readChange(fields: Fields): MembershipChange {
  const kind = fields.text("kind");
  const id = fields.text("id");
  if (kind === "promote" || kind === "remove") return { kind, id };
  if (kind !== "addLearner" && kind !== "readdress")
    throw new PeerProtocolError(`a change of kind ${JSON.stringify(kind)} is unknown here`);
  return {
    kind,
    id,
    incarnation: fields.text("incarnation"),
    peerUrl: fields.text("peerUrl"),
    clientUrl: fields.text("clientUrl"),
  };
}

function readView(fields: Fields): PeerView {
  return {
    id: fields.text("id"),
    reachable: fields.flag("reachable"),
    lastContactMs: fields.amountOrNull("lastContactMs"),
    matchIndex: fields.count("matchIndex"),
    appliedIndex: fields.count("appliedIndex"),
    recovering: fields.flag("recovering"),
    version: fields.textOrNull("version"),
  };
}

function readReport(fields: Fields): MemberReport {
  return {
    writeMs: fields.amountOrNull("writeMs"),
    roomIsShort: fields.flag("roomIsShort"),
    lateMs: fields.amountOrNull("lateMs"),
    checkpoints: fields
      .maps("checkpoints")
      .map((checkpoint) => ({ index: checkpoint.count("index"), hash: checkpoint.text("hash") })),
  };
}

function readSingleFrame(bytes: Buffer, frameBytesMax: number): unknown {
  const [body, ...more] = decodeFrames(bytes, frameBytesMax);
  if (body === undefined || more.length > 0) throw new PeerProtocolError("not exactly one frame");
  return decodeBody(body);
}
