// The first start of a cluster, with a crash at every step of it. A random test that fails prints its seed; replay it with
//   SEED=n npm run unit -- replica/bootstrap.test

import { expect, test } from "vitest";
import { seededRandom } from "../support/random.ts";
import { BootstrapWorld } from "./bootstrap-world.ts";

const trio = ["n1", "n2", "n3"] as const;
const stepsMax = 3_000;

async function runUntilFounded(world: BootstrapWorld, ids: readonly string[]): Promise<number> {
  for (let steps = 0; steps < stepsMax; steps += 1) {
    if (ids.every((id) => world.disks.get(id)?.clusterId !== null)) return steps;
    await world.step();
    world.check();
  }
  const states = ids.map((id) => `${id}: ${world.state(id)?.why ?? "-"}`).join("\n");
  throw new Error(`not founded after ${stepsMax} steps:\n${states}`);
}

function startAll(world: BootstrapWorld, ids: readonly string[]): void {
  for (const id of ids) if (!world.isAlive(id)) world.start(id);
}

test("one member founds its cluster alone", async () => {
  const world = new BootstrapWorld(["n1"]);
  world.start("n1");
  await runUntilFounded(world, ["n1"]);
  expect(world.disks.get("n1")?.founding?.voters).toEqual(["n1"]);
});

test("three members found one cluster, and all write the same first entry", async () => {
  const world = new BootstrapWorld(trio);
  startAll(world, trio);
  await runUntilFounded(world, trio);
  const { clusterId, founding } = world.disks.get("n3") ?? {};
  expect(world.disks.get("n1")).toMatchObject({ clusterId, founding });
  expect(founding).toMatchObject({ voters: trio, outgoing: [], learners: [] });
  expect(founding?.members.map((member) => member.incarnation)).toEqual(
    trio.map((id) => world.disks.get(id)?.incarnation),
  );
});

test("nobody writes anything while a listed member is missing, and the state says which", async () => {
  const world = new BootstrapWorld(trio);
  startAll(world, ["n1", "n2"]);
  for (let steps = 0; steps < 200; steps += 1) await world.step();
  expect(world.state("n1")?.why).toBe("2 of 3 found; n3 cannot be reached: connection refused");
  for (const id of trio)
    expect(world.disks.get(id)).toMatchObject({ clusterId: null, promisedClusterId: null });
  world.start("n3");
  await runUntilFounded(world, trio);
});

test("a crash of any member at any step is healed by starting again", async () => {
  const whole = new BootstrapWorld(trio);
  startAll(whole, trio);
  const length = await runUntilFounded(whole, trio);
  expect(length).toBeGreaterThan(20);

  for (let crashAt = 0; crashAt <= length; crashAt += 1) {
    for (const victims of [["n1"], ["n2"], ["n3"], ["n1", "n2"], ["n2", "n3"], trio]) {
      for (const finishesWrites of [true, false]) {
        for (const pause of [0, 7, 40]) {
          const world = new BootstrapWorld(trio);
          startAll(world, trio);
          for (let steps = 0; steps < crashAt; steps += 1) await world.step();
          for (const victim of victims) world.crash(victim, { finishesWrites });
          for (let steps = 0; steps < pause; steps += 1) await world.step();
          startAll(world, trio);
          await runUntilFounded(world, trio).catch((error: unknown) => {
            throw new Error(
              `${victims.join()} at step ${crashAt}, writes ${finishesWrites}, pause ${pause}`,
              {
                cause: error,
              },
            );
          });
        }
      }
    }
  }
});

const chosen = process.env["SEED"];
const seeds = chosen === undefined ? Array.from({ length: 500 }, (_, index) => index + 1) : [Number(chosen)];

interface Chaos {
  readonly wipes: boolean;
}

/** Events in any order, some of them lost, very late or twice; crashes; and with `wipes`, disks that are emptied, the founder's most of all. */
async function chaos(seed: number, { wipes }: Chaos): Promise<BootstrapWorld> {
  const random = seededRandom(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  const world = new BootstrapWorld(trio);
  startAll(world, trio);
  for (let steps = 0; steps < 250; steps += 1) {
    const at = below(Math.max(1, world.pending));
    const roll = random();
    const id = random() < 0.6 ? "n1" : (trio[below(trio.length)] ?? "n1");
    if (roll < 0.04) world.duplicate(at);
    else if (roll < 0.07) world.loseAnswer(at);
    else if (roll < 0.14) world.hold(at);
    else if (roll < 0.17) world.release();
    else if (roll < 0.2) {
      world.crash(id, { finishesWrites: random() < 0.5 });
      if (wipes && random() < 0.5) world.wipe(id);
    } else if (roll > 0.85) startAll(world, [id]);
    else await world.step(at);
    world.check({ wipedCount: false });
  }
  startAll(world, trio);
  for (let count = 0; count < 250; count += 1) world.release();
  return world;
}

test("with losses, repetitions, delays and crashes in any order, there is one cluster in the end", async () => {
  let members = 0;
  for (const seed of seeds) {
    const world = await chaos(seed, { wipes: false });
    await runUntilFounded(world, trio).catch((error: unknown) => {
      throw new Error(`seed=${seed}; replay: SEED=${seed} npm run unit -- replica/bootstrap.test`, {
        cause: error,
      });
    });
    members += world.founded.length;
  }
  expect(members).toBe(seeds.length * trio.length);
});

test("with disks that are wiped in the middle, there are still never two clusters", async () => {
  let founded = 0;
  for (const seed of seeds) {
    try {
      const world = await chaos(seed, { wipes: true });
      for (let steps = 0; steps < 600; steps += 1) {
        await world.step();
        world.check({ wipedCount: false });
      }
      if (trio.every((id) => world.disks.get(id)?.clusterId !== null)) founded += 1;
    } catch (error) {
      throw new Error(`seed=${seed}; replay: SEED=${seed} npm run unit -- replica/bootstrap.test`, {
        cause: error,
      });
    }
  }
  // Otherwise the wipes left nothing to look at.
  expect(founded).toBeGreaterThan(seeds.length / 10);
});

test("a member whose disk was wiped stays out, and says so", async () => {
  const world = new BootstrapWorld(trio);
  startAll(world, trio);
  await runUntilFounded(world, trio);
  const clusterId = world.disks.get("n1")?.clusterId;
  for (const id of ["n2", "n1"]) {
    world.crash(id, { finishesWrites: true });
    world.wipe(id);
    world.start(id);
    for (let steps = 0; steps < 100; steps += 1) await world.step();
    expect(world.disks.get(id)).toMatchObject({ clusterId: null, promisedClusterId: null });
    expect(world.state(id)).toMatchObject({
      kind: "wiped",
      serverUrl: expect.stringContaining("/client") as unknown,
    });
    expect(world.state(id)?.why).toContain(`cluster ${clusterId} knows another ${id}`);
  }
});

test("members that were started with different lists do not found anything, and say why", async () => {
  const world = new BootstrapWorld(trio);
  startAll(world, ["n1", "n2"]);
  world.start("n3", world.list.toReversed());
  for (let steps = 0; steps < 300; steps += 1) await world.step();
  expect(world.founded).toEqual([]);
  expect(world.state("n1")?.why).toContain("the list must be the same, with the same member first");
});
