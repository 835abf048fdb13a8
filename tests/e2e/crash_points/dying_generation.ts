/**
 * Stands where `core/engine/generation.ts` does, in an engine that is to die between two configurations.
 */

import {
  createGeneration as create,
  type Generation,
  retiredRunners as retire,
} from "../../../core/engine/generation.ts";
import { pass } from "./death.ts";

export * from "../../../core/engine/generation.ts";

/** Builds a generation as the original does; the one before it is still at work. */
export async function createGeneration(...how: Parameters<typeof create>): Promise<Generation> {
  const generation = await create(...how);
  if (how[1].previous !== undefined) pass("reload before swap");
  return generation;
}

/** Called when the swap is done. */
export function retiredRunners(...how: Parameters<typeof retire>): ReturnType<typeof retire> {
  pass("reload after swap");
  return retire(...how);
}
