/** Tables of mistakes in a routes.yaml: each row is a text and the exact lines that a person sees. */

import { assertEquals } from "@std/assert";
import { formatIssue, loadConfig } from "../../core/config/load.ts";
import { createProject } from "./project.ts";
import { sampleProviders } from "./sample_provider.ts";

/** A secret that every provider takes. */
export const secret = "a-secret-of-sufficient-length";

/** Files that stand beside every routes.yaml of a table. */
const files = {
  "h.ts": "",
  "folder/x": "",
  "broken.json": "{",
  "wrong.json": `{ "type": "strnig" }`,
  "draft7.json": `{ "$schema": "http://json-schema.org/draft-07/schema#" }`,
  "typo.json": `{ "requierd": ["a"] }`,
};

/** Puts lines into a source that is otherwise fine, from line 6 on. */
export function source(lines: string): string {
  return `version: 1\nsources:\n  s:\n    provider: github\n    secret: ${secret}\n    ${lines}\n`;
}

/** Puts lines into a route that is otherwise fine, from line 7 on. */
export function route(lines: string): string {
  return `version: 1\nsources: { s: { publish: true } }\nroutes:\n  r:\n    from: s\n    handler: h.ts\n    ${lines}\n`;
}

/** Gives a route its targets, on line 6. */
export function send(targets: string): string {
  return `version: 1\nsources: { s: { publish: true } }\nroutes:\n  r:\n    from: s\n    send: ${targets}\n`;
}

/** Registers a test that the text is refused with exactly these lines, file name left off. */
export function refused(name: string, text: string, ...lines: string[]): void {
  Deno.test(`loadConfig: ${name}`, async () => {
    await using project = await createProject({ ...files, "routes.yaml": text });
    const file = project.path("routes.yaml");
    const loaded = await loadConfig(file, { providers: sampleProviders, environment: { EMPTY: "" } });
    if (loaded.ok) throw new Error("the configuration loaded");
    const seen = loaded.issues.map(formatIssue);
    assertEquals(seen.map((line) => line.replace(`${file}:`, "").replaceAll(project.path(""), "./")), lines);
  });
}
