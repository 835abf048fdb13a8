/** The token that `serve` makes: one per project, however many engines start at once. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { adminTokenPath, findAdminToken, keepAdminToken } from "../../cli/admin_token.ts";

Deno.test("keepAdminToken: of engines that start at once every one has the token of the file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const config = join(folder, "routes.yaml");
    const tokens = await Promise.all(Array.from({ length: 16 }, () => keepAdminToken(config)));
    const kept = await findAdminToken(config);
    assertMatch(kept ?? "", /^[\w-]{43}$/);
    assertEquals(tokens, tokens.map(() => kept));
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => join(folder, name)), [adminTokenPath(config)]);
    assertEquals((await Deno.stat(adminTokenPath(config))).mode! & 0o777, 0o600);
    assertEquals(await keepAdminToken(config), kept);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
