/** What an endpoint answers, before it is bytes on a connection. `respond.ts` sends it. */

import type { ServerResponse } from "node:http";

export type AnswerHeaders = Readonly<Record<string, string>>;

export type Answer =
  | {
      readonly kind: "json";
      readonly status: number;
      readonly body: unknown;
      readonly headers: AnswerHeaders;
    }
  /** Already encoded. */
  | {
      readonly kind: "bytes";
      readonly status: number;
      readonly bytes: Uint8Array;
      readonly mediaType: string;
      readonly headers: AnswerHeaders;
    }
  | { readonly kind: "empty"; readonly status: number; readonly headers: AnswerHeaders }
  /** Takes the connection over, once the headers have been sent. */
  | {
      readonly kind: "stream";
      readonly mediaType: string;
      readonly headers: AnswerHeaders;
      readonly open: (response: ServerResponse) => void;
    };

export function json(status: number, body: unknown, headers: AnswerHeaders = {}): Answer {
  return { kind: "json", status, body, headers };
}

export function text(status: number, lines: string, mediaType = "text/plain; charset=utf-8"): Answer {
  return { kind: "bytes", status, bytes: Buffer.from(lines), mediaType, headers: {} };
}
