/**
 * All mistakes at once: what YAML itself complains of does not hide the rest.
 */

import { assertEquals } from "@std/assert";
import { loadConfig } from "weir";
import { createProject } from "../support/project.ts";

Deno.test("loadConfig: a tag does not hide what else is wrong", async () => {
  await using project = await createProject({
    "routes.yaml":
      "version: 1\nsources:\n  app: { publish: true }\nroutes:\n  a: { from: app, when: !x, handlr: p.ts }\n",
  });
  const loaded = await loadConfig(project.path("routes.yaml"), { providers: [] });
  assertEquals(loaded.ok, false);
  const messages = loaded.ok ? [] : loaded.issues.map(({ message }) => message);
  assertEquals(messages.some((message) => message.includes("tag")), true);
  assertEquals(messages.some((message) => message.includes('did you mean "handler"')), true);
});
