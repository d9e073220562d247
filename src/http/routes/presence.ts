/** A connection that instances hang on: lines both ways, for as long as the client lives. What it does is in `presence/`. */

import type { ServerResponse } from "node:http";
import { RollcallError } from "../../lib/errors.ts";
import * as answers from "../answer-schemas.ts";
import type { Answer } from "../answer.ts";
import { ClientGone, parseJson } from "../body.ts";
import { write, type MemberEndpoint } from "../endpoint.ts";
import type { Exchange } from "../exchange.ts";
import { fieldErrors, invalidArgument } from "../invalid.ts";
import { firstLine } from "../presence/first-line.ts";
import type { PresenceSession } from "../presence/session.ts";
import { presence } from "../schemas.ts";
import { submitFor } from "../submit.ts";
import { policies } from "../policy.ts";

const ndjson = "application/x-ndjson";

export const attachPresence: MemberEndpoint = write({
  id: "attachPresence",
  // As renewals are: when a member dies all who hung on it come at once, and whoever is refused may lose its place.
  policy: policies.keepInstances,
  method: "POST",
  path: "/v1/presence",
  summary:
    "Hang instances on this connection. NDJSON both ways: the first line names the instances, then any line at least every 10 s. " +
    "While it is open they are renewed here; when it breaks they are suspect at once, and expire after lingerMs.",
  params: {},
  query: {},
  keepsResult: false,
  body: null,
  answers: [
    {
      status: 200,
      description: "A stream, while the client lives.",
      schema: answers.presenceLine,
      mediaTypes: [ndjson],
    },
  ],
  errors: ["unsupported_media_type", "too_large"],
  handle: async (call): Promise<Answer> => {
    const { api, exchange } = call;
    checkMediaType(exchange);
    api.presence.takePlace(exchange.response);
    const { text, ear } = await firstLine(exchange, api.bodyMs);
    const { instances, lingerMs } = parseFirst(text);
    call.grant.mustReach(instances);
    const attachment = { kind: "presence", change: "attach", instances, connection: 0, lingerMs } as const;
    // Each connection is a new one, whatever key its request carries: a number that two share would let the older one break the newer.
    const options = { ...call.options, idempotencyKey: null };
    const { connection, attached } = await submitFor({ ...call, options }, attachment);
    const present = instances.filter((_, i) => attached[i] === true);
    const start = (response: ServerResponse): PresenceSession =>
      api.presence.start({ response, connection, instances: present, lingerMs });
    if (exchange.response.destroyed) {
      start(exchange.response).broke("connection lost");
      throw new ClientGone();
    }
    return {
      kind: "stream",
      mediaType: ndjson,
      headers: { "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no" },
      open: (response) => {
        exchange.park();
        response.write(`${JSON.stringify({ type: "attached", connection, attached })}\n`);
        if (present.length === 0) return void response.end();
        const session = start(response);
        ear.line = () => session.heard();
        ear.end = (reason) => session.broke(reason);
        response.once("close", () => session.broke("connection lost"));
        // It may have gone while the attachment was being committed.
        if (ear.ended !== null) session.broke(ear.ended);
      },
    };
  },
});

/**
 * JSON lines have no registered type, so clients name them in several ways. None at all is refused: a page in a browser could send that to
 * a member on its own machine without asking first, and end somebody's presence.
 */
const lineTypes: readonly string[] = [ndjson, "application/ndjson", "application/jsonl", "application/json"];

function checkMediaType({ request }: Exchange): void {
  const given = request.headers["content-type"] ?? "";
  if (lineTypes.includes(given.split(";", 1)[0]?.trim().toLowerCase() ?? "")) return;
  throw new RollcallError(
    "unsupported_media_type",
    `Lines come as ${ndjson}; Content-Type was ${JSON.stringify(given)}.`,
  );
}

function parseFirst(text: string): ReturnType<typeof presence.parse> {
  const given = parseJson(text);
  const parsed = presence.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidArgument(fieldErrors(parsed.error, given));
}
