import { expect, test } from "vitest";
import { AfterStart } from "../../src/replica/after-start.ts";

function scene({ voters }: { readonly voters: readonly string[] }) {
  const done: string[] = [];
  const member = {
    isStarting: true,
    isLeader: false,
    status: { membership: { voters } },
    registry: { instanceCount: 7 },
  };
  const afterStart = new AfterStart(member, {
    keepCode: () => done.push("code kept"),
    giveBackMemory: (instances) => done.push(`memory given back at ${instances}`),
  });
  return { member, afterStart, done };
}

test("while a member starts nothing is done, and then everything once", () => {
  const { member, afterStart, done } = scene({ voters: ["n1", "n2", "n3"] });
  afterStart.tick();
  expect(done).toEqual([]);
  member.isStarting = false;
  afterStart.tick();
  afterStart.tick();
  expect(done).toEqual(["code kept", "memory given back at 7"]);
});

test("who leads others keeps its memory until somebody else leads", () => {
  const { member, afterStart, done } = scene({ voters: ["n1", "n2", "n3"] });
  Object.assign(member, { isStarting: false, isLeader: true });
  afterStart.tick();
  afterStart.tick();
  expect(done).toEqual(["code kept"]);
  member.isLeader = false;
  afterStart.tick();
  expect(done).toEqual(["code kept", "memory given back at 7"]);
});

test("who leads itself alone holds nobody else up", () => {
  const { member, afterStart, done } = scene({ voters: ["n1"] });
  Object.assign(member, { isStarting: false, isLeader: true });
  afterStart.tick();
  expect(done).toEqual(["code kept", "memory given back at 7"]);
});
