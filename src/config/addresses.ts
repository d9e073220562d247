/** Under which URLs a member is reached, once it is known which ports it got. */

import { showAddress } from "./option-kinds.ts";
import type { Config } from "./options.ts";
import { isWildcard } from "./validate.ts";

export interface Urls {
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** `ports`: what the system gave; equal to the configured ones unless these were 0. */
export function advertisedUrls(
  config: Config,
  ports: { readonly client: number; readonly peer: number },
): Urls {
  const listed = config.members.find((member) => member.id === config.id)?.peerUrl;
  const peerUrl = config.peerAdvertise ?? listed ?? urlOf(config.peerListen.host, ports.peer);
  // Everywhere is no address; whoever reaches the peer port reaches the machine.
  const clientHost = isWildcard(config.listen.host) ? bareHost(peerUrl) : config.listen.host;
  return { peerUrl, clientUrl: config.advertise ?? urlOf(clientHost, ports.client) };
}

function urlOf(host: string, port: number): string {
  return `http://${showAddress({ host, port })}`;
}

function bareHost(url: string): string {
  return new URL(url).hostname.replaceAll(/^\[|\]$/g, "");
}
