/**
 * A ledger that finds nothing proves nothing: every way to break a word is shown to it.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { HistoryRecord } from "../../support/history.ts";
import { createLedger, type Ledger } from "./ledger.ts";

/** Everything was confirmed, and is there. */
function askEverything(ledger: Ledger): void {
  ledger.askEnd("cancelled");
  ledger.confirmEnd("cancelled", "cancelled");
  ledger.askEnd("unanswered");
  ledger.confirmRedelivery("again", "first");
  ledger.askReplays("event", 2);
  ledger.confirmReplays("event", 1);
  for (const event of ["kept", "erased"]) ledger.confirmScrap(event);
  ledger.askErasure("erased");
  ledger.confirmErasure("erased");
}

type Row = { id: string; state?: string; redeliveryOf?: string };

const sound: readonly Row[] = [
  { id: "cancelled", state: "cancelled" },
  { id: "unanswered" },
  { id: "again", redeliveryOf: "first" },
  { id: "replay", redeliveryOf: "replay" },
];

function finalRead(rows: readonly Row[], events: readonly string[]): HistoryRecord[] {
  return [
    { kind: "final" },
    ...events.map((id): HistoryRecord => ({ kind: "event", id, seq: 1, key: id })),
    ...rows.map(({ id, state = "succeeded", redeliveryOf }): HistoryRecord => {
      return { kind: "delivery", id, eventId: "event", queue: "work", seq: 1, state, redeliveryOf };
    }),
  ];
}

const without = (id: string) => sound.filter((row) => row.id !== id);

Deno.test("createLedger: what was confirmed and is there is kept, what was not answered may be either", () => {
  const ledger = createLedger();
  askEverything(ledger);
  assertEquals(ledger.judge(finalRead(sound, ["event", "kept"])), []);
  const other = [...without("unanswered"), { id: "unanswered", state: "skipped" }, {
    id: "another replay",
    redeliveryOf: "replay",
  }];
  assertEquals(ledger.judge(finalRead(other, ["event", "kept"])), []);
});

const broken: readonly { name: string; rows?: readonly Row[]; events?: readonly string[]; words: string }[] = [
  { name: "a cancellation that is lost", rows: [...without("cancelled"), { id: "cancelled" }], words: "is succeeded" },
  { name: "a delivery that nobody ended", rows: [...sound, { id: "x", state: "skipped" }], words: "nobody asked" },
  { name: "a redelivery that is lost", rows: without("again"), words: "the redelivery again of first" },
  { name: "a replay that is lost", rows: without("replay"), words: "0 replays, and 1 were confirmed" },
  {
    name: "replays that nobody asked for",
    rows: [...sound, { id: "y", redeliveryOf: "replay" }, { id: "z", redeliveryOf: "replay" }],
    words: "more than were asked for",
  },
  { name: "an event that is lost", events: ["event"], words: "kept was answered 2xx and is not in the log" },
  {
    name: "an erased event that is back",
    events: ["event", "kept", "erased"],
    words: "erased was confirmed as erased",
  },
];

for (const { name, rows = sound, events = ["event", "kept"], words } of broken) {
  Deno.test(`createLedger: finds ${name}`, () => {
    const ledger = createLedger();
    askEverything(ledger);
    const found = ledger.judge(finalRead(rows, events));
    assertEquals(found.length, 1);
    assertStringIncludes(found[0]!, words);
  });
}
