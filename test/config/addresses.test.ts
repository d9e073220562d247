import { expect, test } from "vitest";
import { advertisedUrls } from "../../src/config/addresses.ts";
import { defaultConfig, type Config } from "../../src/config/options.ts";

const ports = { client: 7401, peer: 7501 };

const cases: readonly (readonly [
  what: string,
  config: Partial<Config>,
  peerUrl: string,
  clientUrl: string,
])[] = [
  ["where it listens", {}, "http://127.0.0.1:7501", "http://127.0.0.1:7401"],
  [
    "its own line of the list for peers, and that host for clients when it listens everywhere",
    { members: [{ id: "n1", peerUrl: "http://n1.example:9000" }], listen: { host: "0.0.0.0", port: 7401 } },
    "http://n1.example:9000",
    "http://n1.example:7401",
  ],
  [
    "the host it listens on for clients, when that is one of several",
    { members: [{ id: "n1", peerUrl: "http://10.0.0.1:9000" }], listen: { host: "10.9.9.9", port: 7401 } },
    "http://10.0.0.1:9000",
    "http://10.9.9.9:7401",
  ],
  [
    "what it is told to say before anything else",
    {
      members: [{ id: "n1", peerUrl: "http://10.0.0.1:9000" }],
      advertise: "http://public:80",
      peerAdvertise: "http://private:81",
    },
    "http://private:81",
    "http://public:80",
  ],
  [
    "addresses of version 6 in brackets",
    { members: [{ id: "n1", peerUrl: "http://[fd00::1]:9000" }], listen: { host: "::", port: 7401 } },
    "http://[fd00::1]:9000",
    "http://[fd00::1]:7401",
  ],
];

test.each(cases)("a member advertises %s", (_, config, peerUrl, clientUrl) => {
  expect(advertisedUrls({ ...defaultConfig(), id: "n1", ...config }, ports)).toEqual({ peerUrl, clientUrl });
});
