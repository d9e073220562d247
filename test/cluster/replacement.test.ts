import { expect, test } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { rollcall } from "../support/command.ts";
import { listAt, register } from "../support/registrations.ts";
import { waitFor } from "../support/wait-for.ts";

// By its own membership the one who was away knows the replaced member only as it was, and would have to refuse it.
test("a voter that was away while another was replaced comes back, follows the new one and counts", async () => {
  const cluster = await TestCluster.prepare({ size: 5 });
  for (const member of cluster.members) member.start();
  await cluster.ready();
  const [asked, away, wiped, ...spare] = cluster.members;
  if (asked === undefined || away === undefined || wiped === undefined) throw new Error("five members run");
  await register(cluster, { service: "web", id: "before" });
  await Promise.all([away.kill(), wiped.kill()]);
  wiped.wipe();
  wiped.start();
  await waitFor(
    async () => (await cluster.request<string>(wiped, "GET", "/readyz")).body.includes("member replace"),
    { what: "the wiped member says how to replace it" },
  );
  const replaced = await rollcall(["member", "replace", wiped.id, "--server", asked.clientUrl]);
  expect(replaced).toMatchObject({ status: 0, stderr: "" });
  await cluster.ready();
  await waitFor(
    async () => {
      // Refused to a member that is a moment behind.
      await cluster.request(asked, "POST", "/v1/cluster/leader", { to: wiped.id });
      return (await cluster.leader()) === wiped.id;
    },
    { what: `${wiped.id} leads` },
  );
  await register(cluster, { service: "web", id: "meanwhile" });

  away.start();
  await cluster.ready();
  // From now on nothing is committed without it.
  await Promise.all(spare.map((member) => member.kill()));
  await register(cluster, { service: "web", id: "with-it" });
  await cluster.sameState();
  expect((await listAt(cluster, away.id, "web")).ids).toEqual(["before", "meanwhile", "with-it"]);
  // One leader for all three: on a busy machine another one may lead by now, for want of time or because it is less late with its work.
  expect([asked.id, away.id, wiped.id]).toContain(await cluster.leader());
});
