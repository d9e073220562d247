import { expect, test } from "vitest";
import type { BootstrapIdentity, PromiseQuestion } from "../../src/replica/bootstrap-port.ts";
import { nextStep, refusal, type OwnIdentity, type Round } from "../../src/replica/bootstrap-rules.ts";

const list = ["n1", "n2", "n3"].map((id) => ({ id, peerUrl: `http://${id}` }));

function identity(id: string, fields: Partial<BootstrapIdentity> = {}): BootstrapIdentity {
  return {
    memberId: id,
    incarnation: `${id}-a`,
    peerUrl: `http://${id}`,
    clientUrl: `http://${id}/client`,
    clusterId: null,
    promisedClusterId: null,
    membership: null,
    membershipIndex: 0,
    ...fields,
  };
}

function membershipOf(...incarnations: readonly string[]): NonNullable<BootstrapIdentity["membership"]> {
  const members = incarnations.map((incarnation) => {
    const id = incarnation.slice(0, 2);
    return { id, incarnation, peerUrl: `http://${id}`, clientUrl: `http://${id}/client` };
  });
  return { voters: members.map(({ id }) => id), outgoing: [], learners: [], members };
}

function round(
  own: Partial<OwnIdentity>,
  others: readonly Partial<BootstrapIdentity>[],
  rest?: Partial<Round>,
): Round {
  return {
    own: { ...identity("n1"), ...own },
    list,
    seen: others.map((fields, index) => {
      const id = fields.memberId ?? `n${index + 2}`;
      const peer = { id, peerUrl: `http://${id}` };
      return { peer, outcome: { kind: "answer", answer: identity(id, fields) } };
    }),
    mintedOver: new Map(),
    ...rest,
  };
}

test("the founder draws an id when all are there, and asks for what it saw to be replaced", () => {
  expect(nextStep(round({}, [{}, { promisedClusterId: "old" }]))).toMatchObject({
    kind: "ask",
    mint: true,
    questions: [{ replaces: null }, { replaces: "old" }],
  });
});

test("a founder that crashed goes on with the id that it had promised", () => {
  const step = nextStep(round({ promisedClusterId: "c1" }, [{ promisedClusterId: "c1" }, {}]));
  expect(step).toMatchObject({
    kind: "ask",
    mint: false,
    questions: [{ peer: { id: "n3" }, replaces: null }],
  });
});

test("an id replaces no promise that was not seen before the id was drawn", () => {
  const seen = round({ promisedClusterId: "c1" }, [{ promisedClusterId: "other" }, {}]);
  expect(nextStep(seen)).toMatchObject({ kind: "ask", mint: true });
  const mintedOver = new Map([["n2", "other"]]);
  expect(nextStep({ ...seen, mintedOver })).toMatchObject({ kind: "ask", mint: false });
});

test("the founding membership names everybody by what each said of itself", () => {
  const promised = { promisedClusterId: "c1" };
  expect(nextStep(round(promised, [promised, { ...promised, incarnation: "n3-b" }]))).toEqual({
    kind: "found",
    membership: membershipOf("n1-a", "n2-a", "n3-b"),
  });
});

test("only the first of the list founds", () => {
  const own = identity("n2");
  expect(nextStep(round(own, [{ memberId: "n1" }, { memberId: "n3" }]))).toEqual({
    kind: "wait",
    why: "all 3 found; waiting for n1 to found the cluster",
  });
});

const running = { clusterId: "c1", membership: membershipOf("n1-a", "n2-a", "n3-a"), membershipIndex: 1 };

test.each([
  [
    "writes the first entry after its promise",
    { promisedClusterId: "c1" },
    running,
    { kind: "adopt", founding: running.membership },
  ],
  [
    "leaves later memberships to the log",
    { promisedClusterId: "c1" },
    { ...running, membershipIndex: 9 },
    { kind: "adopt", founding: null },
  ],
  [
    "joins where it was added, with an empty log",
    {},
    { ...running, membershipIndex: 9 },
    { kind: "adopt", founding: null },
  ],
  ["does not join beside a later promise", { promisedClusterId: "c2" }, running, { kind: "wait" }],
  ["is wiped where another incarnation is known", { incarnation: "n1-b" }, running, { kind: "wiped" }],
  [
    "is no member where it is not known",
    {},
    { ...running, membership: membershipOf("n2-a") },
    { kind: "notMember" },
  ],
  ["waits for a member that does not know the membership yet", {}, { clusterId: "c1" }, { kind: "wait" }],
])("a member that meets one of a running cluster %s", (_, own, met, step) => {
  expect(nextStep(round(own, [met, {}]))).toMatchObject(step);
});

test("one that knows this incarnation is enough, where another is behind", () => {
  const behind = { ...running, membership: membershipOf("n1-old", "n2-a") };
  expect(nextStep(round({}, [behind, { ...running, membershipIndex: 5 }]))).toMatchObject({ kind: "adopt" });
});

test("a list that leads to two clusters is said to be wrong", () => {
  const step = nextStep(round({}, [running, { ...running, clusterId: "c2" }]));
  expect(step).toMatchObject({ kind: "wait", why: expect.stringContaining("different clusters") as unknown });
});

const question: PromiseQuestion = {
  clusterId: "c1",
  minter: { id: "n1", incarnation: "n1-a" },
  replaces: null,
  members: list,
};

test.each([
  ["is considered while nothing was promised", {}, {}, /^considered$/],
  [
    "is considered in place of the promise that it names",
    { promisedClusterId: "c0" },
    { replaces: "c0" },
    /^considered$/,
  ],
  ["that comes late does nothing", { promisedClusterId: "c2" }, {}, /promised something else since/],
  ["is refused by a member of a cluster", { clusterId: "c0" }, {}, /already belongs to cluster c0/],
  ["from another list is refused", {}, { members: list.slice(0, 2) }, /list must be the same/],
  [
    "from a list in another order is refused",
    {},
    { members: list.toReversed() },
    /with the same member first/,
  ],
  [
    "from one that is not the first is refused",
    {},
    { minter: { id: "n3", incarnation: "x" } },
    /list must be the same/,
  ],
  [
    "from a process of the same name is refused",
    {},
    { minter: { id: "n2", incarnation: "x" } },
    /two processes/,
  ],
])("a question %s", (_, own, asked, reason) => {
  const why = refusal({ ...identity("n2"), ...own }, list, { ...question, ...asked });
  expect(why ?? "considered").toMatch(reason);
});
