#!/usr/bin/env node
/** The `rollcall` command. */

import { run } from "./program.ts";

// A member that could not go on leaves timers and sockets behind.
process.exit(await run(process.argv.slice(2)));
