import { assertEquals } from "@std/assert";
import { createPlaces } from "../../../plugins/handlers/places.ts";

Deno.test("createPlaces: whoever finds none free waits for one, first come, first served", async () => {
  const places = createPlaces(2);
  const taken: number[] = [];
  const take = (who: number): Promise<void> => places.take().then(() => void taken.push(who));
  const all = [1, 2, 3, 4].map(take);
  await all[1];
  assertEquals(taken, [1, 2]);
  places.giveBack();
  await all[2];
  assertEquals(taken, [1, 2, 3]);
  places.giveBack();
  await all[3];
  places.giveBack();
  places.giveBack();
  await Promise.all([take(5), take(6)]);
  assertEquals(taken, [1, 2, 3, 4, 5, 6]);
});
