/** Says in one sentence why a port or a data folder cannot be had. */

import { StartError } from "./config-error.ts";
import { showAddress, type Address } from "./option-kinds.ts";
import { flagOf } from "./options.ts";

const portReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process uses that port, to listen or for a connection from there",
  EACCES: "this user may not use that port",
  EADDRNOTAVAIL: "this machine does not have that address",
  ENOTFOUND: "there is no such host",
};

const folderReasons: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "the file system is read-only",
  EEXIST: "there is a file of that name",
  ENOTDIR: "a part of that path is a file",
  ENOSPC: "the disk is full",
};

export function portRefusal(
  option: "listen" | "peerListen",
  address: Address,
  error: NodeJS.ErrnoException,
): StartError {
  const why = portReasons[error.code ?? ""] ?? error.message;
  return new StartError(`--${flagOf(option)} ${showAddress(address)} cannot be used: ${why}.`, {
    cause: error,
  });
}

/** Null for what is no fault of the folder: a defect. */
export function folderRefusal(folder: string, error: NodeJS.ErrnoException): StartError | null {
  const { code = "", path = "" } = error;
  const why = folderReasons[code];
  if (why === undefined) return null;
  const where = path === "" ? "" : ` (${path})`;
  return new StartError(`The data folder ${folder} cannot be used: ${why}${where}.`, { cause: error });
}
