/**
 * Lint rules of this repository, loaded by `.oxlintrc.json`: what oxlint's own rules cannot say.
 *
 * - `rollcall/layers`: the import table of `layers.ts`, for static, dynamic, type and re-exporting imports.
 * - `rollcall/synchronous`: no async function, await or promise in the pure folders (their other bans are oxlint's own
 *   rules, in `.oxlintrc.json`).
 * - `rollcall/no-barrel`: no file that only passes on what others export.
 */

import { posix } from "node:path";
import { layers, packageOwners } from "./layers.ts";

type Node = { readonly type: string; readonly [key: string]: unknown };
type Context = { readonly filename: string; report(found: { node: Node; message: string }): void };
type Rule = { create(context: Context): Record<string, (node: Node) => void> };

/** The part of a path below src/, with forward slashes; undefined outside. */
function insideSrc(filename: string): string | undefined {
  return /(?:^|\/)src\/(.*)$/.exec(filename.replaceAll("\\", "/"))?.[1];
}

/** "raft" for "raft/core.ts", "main.ts" for "main.ts". */
function layerOf(path: string): string {
  return path.split("/")[0] ?? path;
}

/** What is wrong with importing `specifier` from `file` (a path below src/), in one sentence; undefined if nothing. */
function complaint(file: string, specifier: string, isType: boolean): string | undefined {
  const name = layerOf(file);
  const layer = layers[name];
  if (layer === undefined) return `src/${name} is not in the import table: add it to scripts/lint/layers.ts`;

  if (!specifier.startsWith(".") && !specifier.startsWith("/")) {
    if (layer.outside === "nothing") return `src/${name} is pure: no node: modules and no packages`;
    if (specifier.startsWith("node:")) return undefined;
    if (layer.outside === "node only") return `src/${name} may import no packages, only node: modules`;
    const depth = specifier.startsWith("@") ? 2 : 1;
    const owners = packageOwners[specifier.split("/").slice(0, depth).join("/")];
    if (owners === undefined || owners.includes(name)) return undefined;
    return `only ${owners.map((owner) => `src/${owner}`).join(", ")} may import "${specifier}"`;
  }

  const target = posix.join("src", posix.dirname(file), specifier);
  if (!target.startsWith("src/")) return `src may import nothing outside src, but "${specifier}" is`;
  const other = layerOf(target.slice("src/".length));
  if (other === name || layer.imports === "everything") return undefined;
  const allowed = ["itself", ...layer.imports].join(", ");
  if (!layer.imports.includes(other)) return `src/${name} may import only: ${allowed}`;
  if (layer.typesOnly === true && !isType)
    return `src/${name} may import types only (import type) from: ${layer.imports.join(", ")}`;
  return undefined;
}

const layersRule: Rule = {
  create(context) {
    const file = insideSrc(context.filename);
    if (file === undefined) return {};
    const check = (node: Node, source: unknown, isType: boolean): void => {
      const specifier = (source as { value?: unknown } | null | undefined)?.value;
      if (typeof specifier !== "string") return;
      const message = complaint(file, specifier, isType);
      if (message !== undefined) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => check(node, node["source"], node["importKind"] === "type"),
      ExportNamedDeclaration: (node) => check(node, node["source"], node["exportKind"] === "type"),
      ExportAllDeclaration: (node) => check(node, node["source"], node["exportKind"] === "type"),
      ImportExpression: (node) => check(node, node["source"], false),
      TSImportType: (node) => check(node, node["source"] ?? node["argument"], true),
    };
  },
};

const synchronous: Rule = {
  create(context) {
    const file = insideSrc(context.filename);
    if (file === undefined) return {};
    const message = `src/${layerOf(file)} is pure: no async, no await, no promises`;
    const ifAsync = (node: Node): void => {
      if (node["async"] === true) context.report({ node, message });
    };
    const ifPromise = (node: Node): void => {
      const name = node as { typeName?: { name?: unknown } };
      if (name.typeName?.name === "Promise" || name.typeName?.name === "PromiseLike")
        context.report({ node, message });
    };
    return {
      FunctionDeclaration: ifAsync,
      FunctionExpression: ifAsync,
      ArrowFunctionExpression: ifAsync,
      AwaitExpression: (node) => context.report({ node, message }),
      ForOfStatement: (node) => {
        if (node["await"] === true) context.report({ node, message });
      },
      ImportExpression: (node) => context.report({ node, message }),
      TSTypeReference: ifPromise,
    };
  },
};

const noBarrel: Rule = {
  create(context) {
    const file = insideSrc(context.filename);
    if (file === undefined) return {};
    /** `import`, `export ... from`, `export { imported }`: nothing that this file itself defines. */
    const isPassedOn = (part: Node): boolean =>
      part.type === "ImportDeclaration" || (part.type.startsWith("Export") && part["declaration"] == null);
    return {
      Program: (program) => {
        const body = program["body"] as readonly Node[];
        const definesNothing = body.some((part) => part.type.startsWith("Export")) && body.every(isPassedOn);
        if (!definesNothing && !/(?:^|\/)index\.[cm]?[jt]s$/.test(file)) return;
        const message = "no barrels: import each thing from the file that defines it";
        context.report({ node: body[0] ?? program, message });
      },
      ExportAllDeclaration: (node) => {
        context.report({ node, message: "no `export *`: name what this file gives" });
      },
    };
  },
};

export default {
  meta: { name: "rollcall" },
  rules: { layers: layersRule, synchronous, "no-barrel": noBarrel },
};
