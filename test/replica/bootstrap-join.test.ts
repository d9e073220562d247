import { expect, test } from "vitest";
import { JoinClient } from "../../src/replica/join-client.ts";
import { fakeApi, nobody } from "../cli/fake-api.ts";

const self = { id: "n4", peerUrl: "http://n4:1", clientUrl: "http://n4:2" };

test("a member that joins learns where the others answer, and asks to be added", async () => {
  const members = [{ id: "n1", peerUrl: "http://n1:1", clientUrl: "http://n1:2", role: "leader" }];
  const { url, asked } = await fakeApi(() => ({ body: { members } }));
  const client = new JoinClient(url);
  expect(await client.members()).toEqual([{ id: "n1", peerUrl: "http://n1:1" }]);
  await client.add(self);
  expect(asked).toEqual(["GET /v1/cluster", `POST /v1/cluster/members ${JSON.stringify(self)}`]);
});

test("what stands in the way is said in a sentence", async () => {
  const refusing = await fakeApi(() => ({ status: 409, body: { detail: "another change is under way" } }));
  await expect(new JoinClient(refusing.url).add(self)).rejects.toThrow(
    `${refusing.url} refuses: another change is under way`,
  );
  const away = await nobody();
  await expect(new JoinClient(away).members()).rejects.toThrow(
    `the member to join at ${away} cannot be reached: connection refused`,
  );
});
