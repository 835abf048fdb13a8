/**
 * The Store suite: what every storage has to do alike. Each storage's test file runs all of it on its own kind of log.
 */

import { appendTests } from "./suite_append.ts";
import { bodyTests } from "./suite_bodies.ts";
import type { StoreFixture } from "./fixture.ts";
import { flowTests } from "./suite_flow.ts";
import { laneTests } from "./suite_lanes.ts";
import { leaseTests } from "./suite_leases.ts";
import { listingTests } from "./suite_listings.ts";
import { retentionTests } from "./suite_retention.ts";
import { versionTests } from "./suite_versions.ts";

/** How to run the suite on one kind of log. */
export interface SuiteOptions {
  /** Names the storage in the test's name. */
  readonly storage: string;
  /** Makes an empty log. */
  make(): Promise<StoreFixture>;
  /** Why it cannot run here. */
  readonly missing?: string;
}

/** Registers every test of the suite. */
export function testStore(options: SuiteOptions): void {
  const tests = {
    ...appendTests,
    ...bodyTests,
    ...flowTests,
    ...laneTests,
    ...leaseTests,
    ...listingTests,
    ...retentionTests,
    ...versionTests,
  };
  if (options.missing !== undefined) console.warn(`skipped, Store on ${options.storage}: ${options.missing}`);
  for (const [name, test] of Object.entries(tests)) {
    Deno.test({
      name: `${name} [${options.storage}]`,
      ignore: options.missing !== undefined,
      async fn() {
        await using fixture = await options.make();
        await test(fixture);
      },
    });
  }
}
