/**
 * Stands where `core/engine/intake.ts` does, in an engine that is to die when the log has an event and its sender does not
 * know yet.
 */

import { createIntake as create, type Intake } from "../../../core/engine/intake.ts";
import { pass } from "./death.ts";

export * from "../../../core/engine/intake.ts";

/** Makes the way into the log as the original does. */
export function createIntake(...how: Parameters<typeof create>): Intake {
  const intake = create(...how);
  return {
    ...intake,
    async receive(...request) {
      const intaken = await intake.receive(...request);
      if (intaken.kind === "accepted") pass("append before answer");
      return intaken;
    },
  };
}
