/**
 * Stands where `core/http/ingress.ts` does, in an engine that is to die when the log has an event and its sender does not
 * know yet.
 */

import { createIngress as create, type Ingress, type IngressOptions } from "../../../core/http/ingress.ts";
import { pass } from "./death.ts";

export * from "../../../core/http/ingress.ts";

/** Makes the door as the original does. */
export function createIngress(options: IngressOptions): Ingress {
  const ingress = create(options);
  return {
    async fetch(request, info) {
      const answer = await ingress.fetch(request, info);
      if (answer.status === 202) pass("append before answer");
      return answer;
    },
    get inFlight() {
      return ingress.inFlight;
    },
  };
}
