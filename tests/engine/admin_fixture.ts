/**
 * The admin API of an engine under test, for what a person would do and see.
 */

import { assert } from "@std/assert";
import type { TestEngine } from "../support/engine.ts";

/** The token of engines that are asked. */
export const adminToken = "an-admin-token-for-tests";

// deno-lint-ignore no-explicit-any -- tests look into the JSON as a shell script would
type Answer = any;

/** Asks the admin API; with a body it is a POST. */
export async function callAdmin(
  { weir }: Pick<TestEngine, "weir">,
  path: string,
  body?: unknown,
): Promise<[status: number, answer: Answer]> {
  const headers = {
    host: "127.0.0.1:8081",
    authorization: `Bearer ${adminToken}`,
    "content-type": "application/json",
  };
  const init = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await weir.admin(new Request(`http://127.0.0.1:8081/api/v1${path}`, init));
  return [response.status, await response.json()];
}

/** Makes the way to ask; every answer must be a success. */
export function askEngine(engine: Pick<TestEngine, "weir">): { ask(path: string, body?: unknown): Promise<Answer> } {
  return {
    async ask(path, body) {
      const [status, answer] = await callAdmin(engine, path, body);
      assert(status >= 200 && status <= 299, JSON.stringify(answer));
      return answer;
    },
  };
}
