/**
 * The admin API of an engine under test, for what a person would do and see.
 */

import { assertEquals } from "@std/assert";
import type { TestEngine } from "../support/engine.ts";

/** The token of engines that are asked. */
export const adminToken = "an-admin-token-for-tests";

/** Makes the way to ask; with a body it is a POST. Every answer must be a success. */
// deno-lint-ignore no-explicit-any -- tests look into the JSON as a shell script would
export function askEngine({ weir }: Pick<TestEngine, "weir">): { ask(path: string, body?: unknown): Promise<any> } {
  return {
    async ask(path, body) {
      const headers = {
        host: "127.0.0.1:8081",
        authorization: `Bearer ${adminToken}`,
        "content-type": "application/json",
      };
      const init = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
      const response = await weir.admin(new Request(`http://127.0.0.1:8081/api/v1${path}`, init));
      const answer = await response.json();
      assertEquals(response.ok, true, JSON.stringify(answer));
      return answer;
    },
  };
}
