// Completes package-lock.json after `npm install`. Usage: npm run lock
//
// npm leaves an optional platform package out of the lock file when the registry it asked does not serve that
// version (mirrors often carry only the platforms they need). `npm ci` then refuses the lock file everywhere:
// here because it cannot resolve the package, elsewhere because it can. Every such package is named with its
// exact version by the package that wants it, and its platform stands in its name, so the entry can be written
// without asking anybody; only the checksum is missing, and only for the platforms that were left out.

import { readFileSync, writeFileSync } from "node:fs";

type Entry = Record<string, unknown> & { optionalDependencies?: Record<string, string>; dev?: boolean };

const lockUrl = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(lockUrl, "utf8")) as { packages: Record<string, Entry> };

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "win32"];
const processors = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "wasm32", "x64"];

let added = 0;
for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    if (!/^\d+\.\d+\.\d+$/.test(version) || lock.packages[place] !== undefined) continue;
    const words = name.split(/[/-]/);
    const os = systems.find((system) => words.includes(system));
    const cpu = processors.find((processor) => words.includes(processor));
    if (os === undefined || cpu === undefined)
      throw new Error(`${name}: its name does not tell its platform`);
    const libc = words.includes("musl") ? ["musl"] : words.includes("gnu") ? ["glibc"] : undefined;
    lock.packages[place] = {
      version,
      cpu: [cpu],
      ...(entry.dev === true ? { dev: true } : {}),
      ...(os === "linux" && libc !== undefined ? { libc } : {}),
      optional: true,
      os: [os],
    };
    added += 1;
  }
}

const byPlace = Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
lock.packages = Object.fromEntries(byPlace);
writeFileSync(lockUrl, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} platform packages added, ${byPlace.length} in all`);
