/** Conversations between members, as transcripts in testscripts/. The language is described in script.ts. */

import { testScripts } from "../support/golden.ts";
import { newInterpreter } from "./script.ts";

testScripts(new URL("testscripts/", import.meta.url), newInterpreter);
