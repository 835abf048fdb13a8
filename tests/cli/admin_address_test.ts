/** How a command finds its engine: by one line of routes.yaml, whatever else is wrong there. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createProject } from "../support/project.ts";
import { runWeir } from "./command_line.ts";

Deno.test("weir events list: an engine is found though routes.yaml is not valid where the command runs", async () => {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => Response.json({ rows: [] }));
  const routes = (admin: string) =>
    `version: 1
server: { admin: "${admin}" }
sources: { door: { provider: none, secret: "\${ONLY_THE_SERVICE_HAS_IT}" } }
routes: { work: { form: door } }
`;
  await using project = await createProject({ "routes.yaml": routes(`127.0.0.1:${server.addr.port}`) });
  const env = { WEIR_ADMIN_TOKEN: "a-token-of-the-tests-01234567890123456789" };
  const list = () => runWeir(["events", "list"], { cwd: project.path("."), env });
  assertEquals(await list(), { code: 0, out: "", err: "no events\n" });

  await Deno.writeTextFile(project.path("routes.yaml"), routes("127.0.0.1:${ONLY_THE_SERVICE_HAS_IT}"));
  const { code, err } = await list();
  assertEquals(code, 1);
  assertStringIncludes(err, "mend it, or name the address with --admin http://HOST:PORT");
});
