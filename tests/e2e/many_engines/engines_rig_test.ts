import { assertEquals } from "@std/assert";
import { checkHistory } from "../../support/check_history.ts";
import { type EnginesReport, findFaults } from "./engines_rig.ts";

const sound: EnginesReport = {
  seed: 1,
  engines: 2,
  history: { ...checkHistory([]), acknowledged: 10, runs: 10, crashes: 5, cutOff: 3 },
  sampled: "",
  asked: { kills: 5, serverRestarts: 1, cutChance: 0.1 },
  serverRestarts: 1,
  serverStuck: 0,
  serverHeld: 0,
  repliesCut: 1,
  requestsCut: 0,
  most: { work: { seen: 3, limit: 3 } },
  refusals: [],
  exitCodes: [0, 0],
};

Deno.test("findFaults: a run that did what was asked for has none", () => {
  assertEquals(findFaults(sound), []);
  assertEquals(findFaults({ ...sound, serverStuck: 1 }), [], "a killed client may bring the server there");
});

const { history } = sound;
const wrong: Record<string, Partial<EnginesReport>> = {
  "fewer kills than were asked for": { history: { ...history, crashes: 4 } },
  "kills that hit no attempt": { history: { ...history, cutOff: 0 } },
  "a server that was not restarted": { serverRestarts: 0 },
  "connections that nobody cut": { repliesCut: 0 },
  "engines that held the server": { serverHeld: 1 },
  "a server that sticks without a reason": { serverStuck: 7 },
  "an engine that is missing at the end": { exitCodes: [0] },
  "an engine that did not stop well": { exitCodes: [0, 1] },
  "more at once than the limit": { most: { work: { seen: 4, limit: 3 } } },
  "an anomaly": { history: { ...history, anomalies: [{ name: "LOST", subject: "a", detail: "b" }] } },
};
for (const [what, difference] of Object.entries(wrong)) {
  Deno.test(`findFaults: names ${what}`, () => assertEquals(findFaults({ ...sound, ...difference }).length, 1));
}
