/** Where the operator's door is, read from a file of which nothing else has to be right. */

import { assertEquals } from "@std/assert";
import { readAdminAddress } from "../../core/config/admin_address.ts";
import { createProject } from "../support/project.ts";

Deno.test("readAdminAddress: of all that may be wrong with the file, only what tells the address counts", async () => {
  const local = (port: number) => ({ hostname: "127.0.0.1", port });
  const table: [string, ReturnType<typeof local> | undefined][] = [
    ["server: { admin: 127.0.0.1:9081 }\nroutes: { a: { form: b } }\n", local(9081)],
    ["server: { admin: 127.0.0.1:9081 }\nsources: { a: { secret: '${NOT_HERE}' } }\n", local(9081)],
    ["server: { admin: '127.0.0.1:${PORT}' }\n", local(9082)],
    ["server: { admin: '127.0.0.1:${PORT_OF_FILE}' }\n", local(9083)],
    ["server: { listen: '${NOT_HERE}' }\n", local(8081)],
    ["version: 1\n", local(8081)],
    ["server:\n", local(8081)],
    ["server: { admin: '127.0.0.1:${NOT_HERE}' }\n", undefined],
    ["server: { admin: 9081 }\n", undefined],
    ["server: { admin: nowhere }\n", undefined],
    ["server: 127.0.0.1:9081\n", undefined],
    ["server: { admin: 127.0.0.1:9081\n", undefined],
    ["- server\n", undefined],
    ["", undefined],
  ];
  await using project = await createProject({ "routes.yaml": "", ".env": "PORT_OF_FILE=9083\n" });
  const file = project.path("routes.yaml");
  for (const [text, address] of table) {
    await Deno.writeTextFile(file, text);
    assertEquals(await readAdminAddress(file, { PORT: "9082" }), address, text);
  }
  assertEquals(await readAdminAddress(project.path("none.yaml")), undefined);
});
