/** Tests of `core/domain/naming.ts`: who names what is not there learns what is, and what may have been meant. */

import { assertEquals } from "@std/assert";
import { didYouMean, emptyLane, unknownName, unknownQueue } from "../../core/domain/naming.ts";

const queues = [
  { route: "mirror", target: "ci" },
  { route: "mirror", target: "chat" },
  { route: "orders", target: "" },
];

Deno.test("unknownName: names what there is, once, and what may have been meant", () => {
  assertEquals(
    unknownName("route", "ordres", ["mirror", "mirror", "orders"]),
    'there is no route ordres; expected one of mirror, orders; did you mean "orders"?',
  );
  assertEquals(unknownName("source", "door", []), "there is no source door; there are none");
  assertEquals(unknownName("source", "door", ["doorbells"]), "there is no source door; expected one of doorbells");
});

Deno.test("unknownQueue: a route, a target, or both, and nothing to say where a queue has that name", () => {
  const table: [Parameters<typeof unknownQueue>[0], string | undefined][] = [
    [{ route: "mirror" }, undefined],
    [{ route: "mirror", target: "ci" }, undefined],
    [{ route: "orders", target: "" }, undefined],
    [{ target: "chat" }, undefined],
    [{}, undefined],
    [{ route: "mirro" }, 'there is no route mirro; expected one of mirror, orders; did you mean "mirror"?'],
    [
      { route: "mirror", target: "cj" },
      'there is no target of mirror named cj; expected one of ci, chat; did you mean "ci"?',
    ],
    [{ route: "orders", target: "ci" }, "there is no target of orders named ci; there are none"],
    [{ target: "slack" }, "there is no target slack; expected one of ci, chat"],
  ];
  for (const [named, said] of table) assertEquals(unknownQueue(named, queues), said);
});

Deno.test("emptyLane: says where the lane is open, or which queues there are to ask for", () => {
  const mirror = queues.slice(0, 2);
  const nothing = (of: string) => `there is nothing open in lane "k" of ${of}`;
  assertEquals(
    emptyLane({ route: "mirror", target: "", lane: "k" }, { open: mirror.slice(1), queues: mirror }),
    `${nothing("mirror")}; it is open in mirror/chat`,
  );
  assertEquals(
    emptyLane({ route: "mirror", target: "", lane: "k" }, { open: [], queues: mirror }),
    `${nothing("mirror")}; its queues are mirror/ci, mirror/chat`,
  );
  assertEquals(
    emptyLane({ route: "mirror", target: "ci", lane: "k" }, { open: [], queues: mirror }),
    nothing("mirror/ci"),
  );
});

Deno.test("didYouMean: suggests what is close and nothing else", () => {
  const candidates = ["provider", "secret", "path", "send", "on"];
  for (
    const [word, suggestion] of [
      ["secrt", "secret"],
      ["Provider", "provider"],
      ["provdier", "provider"],
      ["sned", "send"],
      ["pth", "path"],
    ] as const
  ) assertEquals(didYouMean(word, candidates), `; did you mean "${suggestion}"?`);
  for (const word of ["", "x", "colour", "handler"]) assertEquals(didYouMean(word, candidates), "");
});
