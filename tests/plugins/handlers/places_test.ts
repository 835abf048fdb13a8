import { assertEquals } from "@std/assert";
import { createPlaces } from "../../../plugins/handlers/places.ts";

Deno.test("createPlaces: whoever finds none free waits for one, behind those who are let ahead", async () => {
  const places = createPlaces(2);
  const taken: number[] = [];
  const take = (who: number): Promise<void> => places.take(who >= 5).then(() => void taken.push(who));
  const all = [1, 2, 3, 4, 5, 6].map(take);
  await all[1];
  assertEquals(taken, [1, 2]);
  for (const next of [5, 6, 3, 4]) {
    places.giveBack();
    await all[next - 1];
  }
  assertEquals(taken, [1, 2, 5, 6, 3, 4]);
  places.giveBack();
  places.giveBack();
  await Promise.all([take(7), take(8)]);
  assertEquals(taken.slice(-2), [7, 8]);
});
