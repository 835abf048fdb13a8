/**
 * Group commit: what shares a transaction, what does not, and who hears of a failure.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { type CommitGroup, createCommitGroup, groupBytesMax, groupItemsMax } from "../../core/store/commit_group.ts";
import { ConstraintBroken, NotTried } from "../../core/store/database.ts";

/** A writer that keeps what it was given; each of its commits is let through by hand or at once. */
function createWriter(
  options: {
    held?: boolean;
    aheadMin?: number;
    fail?: (group: readonly string[], turn: { isAhead: boolean }) => Error | undefined;
  } = {},
) {
  const groups: string[][] = [];
  const committed: string[] = [];
  let open = Promise.withResolvers<void>();
  if (!options.held) open.resolve();
  const deferred: (() => void)[] = [];
  const group: CommitGroup<string, string> = createCommitGroup({
    async commit(operations, turn) {
      groups.push([...operations]);
      await open.promise;
      const error = options.fail?.(operations, turn);
      if (error !== undefined) throw error;
      committed.push(...operations);
      return operations.map((operation) => `${operation}!`);
    },
    bytes: (operation) => Number(operation.split(":")[1] ?? 0),
    aheadMin: options.aheadMin,
    defer: (run) => void deferred.push(run),
  });
  const turn = (): void => deferred.splice(0).forEach((run) => run());
  return {
    group,
    groups,
    committed,
    /** Lets the thread take the events that wait for it. */
    turn,
    /** The same, again and again until `done` has come. */
    async turnUntil<Done>(done: Promise<Done>): Promise<Done> {
      let isDone = false;
      done.finally(() => isDone = true).catch(() => {});
      while (!isDone) {
        turn();
        await Promise.resolve();
      }
      return await done;
    },
    release() {
      open.resolve();
      open = Promise.withResolvers();
      open.resolve();
    },
  };
}

Deno.test("commitGroup: what is submitted in one turn is one group, in order, each with its own answer", async () => {
  const { group, groups, turn } = createWriter();
  const answers = Promise.all(["a", "b", "c"].map((operation) => group.submit(operation)));
  turn();
  assertEquals(await answers, ["a!", "b!", "c!"]);
  assertEquals(groups, [["a", "b", "c"]]);
});

Deno.test("commitGroup: what arrives while it writes is the next group", async () => {
  const { group, groups, turn, turnUntil, release } = createWriter({ held: true });
  const first = group.submit("a");
  turn();
  const later = ["b", "c", "d"].map((operation) => group.submit(operation));
  assertEquals(groups, [["a"]]);
  release();
  await turnUntil(Promise.all([first, ...later]));
  assertEquals(groups, [["a"], ["b", "c", "d"]]);
});

Deno.test("commitGroup: who submits again upon an answer joins those who have waited meanwhile", async () => {
  const { group, groups, turn, turnUntil, release } = createWriter({ held: true });
  const chain = group.submit("a").then(() => group.submit("a again"));
  turn();
  const waiting = group.submit("b");
  release();
  await turnUntil(Promise.all([chain, waiting]));
  assertEquals(groups, [["a"], ["b", "a again"]]);
});

Deno.test("commitGroup: a second group is handed over while the first is written once it is large enough, a third is not", async () => {
  const { group, groups, turn, turnUntil, release } = createWriter({ held: true, aheadMin: 3 });
  const submitted = [group.submit("a")];
  turn();
  for (const operation of ["b", "c"]) submitted.push(group.submit(operation));
  assertEquals(groups, [["a"]]);
  for (const operation of ["d", "e", "f", "g"]) submitted.push(group.submit(operation));
  assertEquals(groups, [["a"], ["b", "c", "d"]]);
  release();
  assertEquals(await turnUntil(Promise.all(submitted)), ["a!", "b!", "c!", "d!", "e!", "f!", "g!"]);
  assertEquals(groups, [["a"], ["b", "c", "d"], ["e", "f", "g"]]);
});

Deno.test("commitGroup: a group that was not tried because the one before it failed goes after all of that one", async () => {
  const writer = createWriter({
    aheadMin: 2,
    held: true,
    fail(operations, { isAhead }) {
      if (isAhead && writer.groups.length === 2) return new NotTried();
      return operations.includes("bad") ? new ConstraintBroken("no") : undefined;
    },
  });
  const results = Promise.allSettled(["a", "bad", "b"].map((operation) => writer.group.submit(operation)));
  writer.turn();
  const later = Promise.all(["c", "d", "e", "f", "g"].map((operation) => writer.group.submit(operation)));
  assertEquals(writer.groups, [["a", "bad", "b"], ["c", "d"]]);
  writer.release();
  assertEquals(await writer.turnUntil(later), ["c!", "d!", "e!", "f!", "g!"]);
  assertEquals((await results).map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assertEquals(writer.committed, ["a", "b", "c", "d", "e", "f", "g"]);
});

Deno.test("commitGroup: the same after a single operation that fails for good", async () => {
  const writer = createWriter({
    aheadMin: 2,
    held: true,
    fail(operations, { isAhead }) {
      if (isAhead) return new NotTried();
      return operations.includes("bad") ? new ConstraintBroken("no") : undefined;
    },
  });
  const bad = assertRejects(() => writer.group.submit("bad"), ConstraintBroken);
  writer.turn();
  const later = Promise.all(["a", "b"].map((operation) => writer.group.submit(operation)));
  writer.release();
  await writer.turnUntil(later);
  await bad;
  assertEquals(writer.groups, [["bad"], ["a", "b"], ["a", "b"]]);
});

Deno.test("commitGroup: nothing is handed over between the halves of a group that has failed", async () => {
  const [half, deferred, groups]: [PromiseWithResolvers<void>, (() => void)[], string[][]] = [
    Promise.withResolvers(),
    [],
    [],
  ];
  const group = createCommitGroup<string, string>({
    async commit(operations) {
      groups.push([...operations]);
      if (operations.length === 2 && operations.includes("bad")) throw new ConstraintBroken("no");
      await half.promise;
      return operations;
    },
    bytes: () => 0,
    aheadMin: 1,
    defer: (run) => void deferred.push(run),
  });
  const submitted = ["a", "bad"].map((operation) => group.submit(operation));
  deferred.shift()!();
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  submitted.push(group.submit("b"));
  assertEquals(groups, [["a", "bad"], ["a"]]);
  half.resolve();
  await Promise.all(submitted.slice(0, 2));
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  deferred.shift()!();
  await Promise.all(submitted);
  assertEquals(groups, [["a", "bad"], ["a"], ["bad"], ["b"]]);
});

Deno.test("commitGroup: idle waits for the halves of a group that has failed, whatever went ahead of them", async () => {
  const halves = Promise.withResolvers<void>();
  const committed: string[] = [];
  const deferred: (() => void)[] = [];
  const group = createCommitGroup<string, string>({
    async commit(operations, { isAhead }) {
      if (operations.includes("bad")) throw new ConstraintBroken("no");
      if (!isAhead) await halves.promise;
      committed.push(...operations);
      return operations;
    },
    bytes: () => 0,
    aheadMin: 1,
    defer: (run) => void deferred.push(run),
  });
  const failing = Promise.allSettled(["a", "bad"].map((operation) => group.submit(operation)));
  deferred.shift()!();
  await group.submit("b");
  let isIdle = false;
  const idling = group.idle().then(() => isIdle = true);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals([isIdle, committed], [false, ["b"]]);
  halves.resolve();
  await idling;
  await failing;
  assertEquals(committed, ["b", "a"]);
});

Deno.test("commitGroup: a group holds no more than groupItemsMax operations", async () => {
  const { group, groups, turnUntil } = createWriter();
  await turnUntil(Promise.all(Array.from({ length: 2 * groupItemsMax + 1 }, (_, i) => group.submit(`${i}`))));
  assertEquals(groups.map(({ length }) => length), [groupItemsMax, groupItemsMax, 1]);
  assertEquals(groups.flat(), Array.from({ length: 2 * groupItemsMax + 1 }, (_, i) => `${i}`));
});

Deno.test("commitGroup: a group holds no more than groupBytesMax, but a larger operation goes alone", async () => {
  const { group, groups, turnUntil } = createWriter();
  const half = groupBytesMax / 2;
  const operations = [`a:${half}`, `b:${half}`, `c:1`, `d:${groupBytesMax + 1}`, `e:1`, `f:${groupBytesMax}`];
  await turnUntil(Promise.all(operations.map((operation) => group.submit(operation))));
  assertEquals(groups.map((of) => of.map(([name]) => name).join("")), ["ab", "c", "d", "e", "f"]);
});

Deno.test("commitGroup: one bad operation among good ones fails alone, and the order stays", async () => {
  const writer = createWriter({
    fail: (operations) => operations.includes("bad") ? new ConstraintBroken("no") : undefined,
  });
  const names = ["a", "b", "c", "bad", "d", "e", "f"];
  const results = Promise.allSettled(names.map((operation) => writer.group.submit(operation)));
  writer.turn();
  assertEquals((await results).map(({ status }) => status === "fulfilled"), names.map((name) => name !== "bad"));
  assertEquals(writer.committed, names.filter((name) => name !== "bad"));
});

Deno.test("commitGroup: a bad operation among 256 costs a few commits, not 256", async () => {
  const writer = createWriter({
    fail: (operations) => operations.includes("137") ? new ConstraintBroken("no") : undefined,
  });
  const all = Promise.allSettled(Array.from({ length: 256 }, (_, i) => writer.group.submit(`${i}`)));
  writer.turn();
  assertEquals((await all).filter(({ status }) => status === "rejected").length, 1);
  assertEquals(writer.groups.length, 1 + 2 * 8);
});

Deno.test("commitGroup: when the log is unavailable everyone in the group hears it, and the next one works", async () => {
  let broken = true;
  const writer = createWriter({ fail: () => broken ? new Error("disk") : undefined });
  const results = Promise.allSettled(["a", "b"].map((operation) => writer.group.submit(operation)));
  writer.turn();
  assertEquals((await results).map(({ status }) => status), ["rejected", "rejected"]);
  assertEquals(writer.groups.length, 1); // nothing was tried again: it may have been written
  broken = false;
  const next = writer.group.submit("c");
  writer.turn();
  assertEquals(await next, "c!");
});

Deno.test("commitGroup: an operation that cannot be weighed fails alone", async () => {
  const { group, groups, turn } = createWriter();
  const bad = assertRejects(() => group.submit(undefined as unknown as string), TypeError);
  const good = group.submit("a");
  turn();
  await bad;
  assertEquals([await good, groups], ["a!", [["a"]]]);
});

Deno.test("commitGroup: idle resolves when everything is written, at once when there is nothing", async () => {
  const writer = createWriter({ held: true });
  await writer.group.idle();
  const submitted = ["a", "b"].map((operation) => writer.group.submit(operation));
  writer.turn();
  let idle = false;
  const idling = writer.group.idle().then(() => idle = true);
  submitted.push(writer.group.submit("c"));
  await Promise.resolve();
  assertEquals(idle, false);
  writer.release();
  await writer.turnUntil(idling);
  assertEquals(writer.committed, ["a", "b", "c"]);
  await Promise.all(submitted);
});
