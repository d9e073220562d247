import { expect, test } from "vitest";
import { readTokens } from "../../src/config/read-tokens.ts";

const sha256 = "ab".repeat(32);
const read = (text: unknown): ReturnType<typeof readTokens> =>
  readTokens({ path: "tokens.json", text: typeof text === "string" ? text : JSON.stringify(text) });

test("tokens have a name, a digest and rights, and may be limited", () => {
  const [all, web] = read({
    tokens: [
      { name: "ci", sha256, rights: ["read", "operate"] },
      { name: "web", sha256: "cd".repeat(32), rights: ["write"], namespace: "prod", servicePrefix: "web-" },
    ],
  });
  expect(all).toEqual({
    name: "ci",
    sha256: Buffer.from(sha256, "hex"),
    rights: ["read", "operate"],
    namespace: null,
    servicePrefix: null,
  });
  expect(web).toMatchObject({ namespace: "prod", servicePrefix: "web-" });
});

const good = { name: "ci", sha256, rights: ["read"] };
const wrong: readonly [title: string, given: unknown, says: RegExp][] = [
  ["no JSON", "{secret", /must be JSON of the form/],
  ["no tokens", { tokens: [] }, /at least one token/],
  ["another shape", [good], /must be JSON of the form/],
  ["no name", { tokens: [{ ...good, name: "" }] }, /token 1: name must be/],
  ["a token instead of its digest", { tokens: [{ ...good, sha256: "hunter2" }] }, /64 hexadecimal digits/],
  ["unknown rights", { tokens: [{ ...good, rights: ["admin"] }] }, /some of read, write, operate/],
  ["no rights", { tokens: [{ ...good, rights: [] }] }, /some of read, write, operate/],
  ["a field that is not known", { tokens: [{ ...good, namespaces: ["x"] }] }, /namespaces is not known/],
  ["a limit that is no text", { tokens: [{ ...good, servicePrefix: 7 }] }, /servicePrefix must be/],
  ["two of one name", { tokens: [good, { ...good, sha256: "cd".repeat(32) }] }, /token 2 has the name/],
  ["one digest twice", { tokens: [good, { ...good, name: "b" }] }, /token 2 has the sha256/],
];

test.each(wrong)(
  "a token file with %s is refused in a sentence that shows no secret",
  (_title, given, says) => {
    expect(() => read(given)).toThrow(says);
    expect(() => read(given)).not.toThrow(/hunter2|secret/);
  },
);
