/**
 * Mistakes on purpose, each planted at a seam between the engine and its collaborators: the simulation proves its worth
 * by finding every one of them. None is a flag in the product.
 */

import type { Database, Statement } from "../../core/store/database.ts";
import type { Store } from "../../core/store/store.ts";

/** What a bug may use of the engine that it is planted in. */
export interface Soil {
  /** The database as the engine sees it. */
  readonly database: Database;
  readonly random: () => number;
}

/** One mistake. */
export interface PlantedBug {
  readonly name: string;
  /** A seed that finds it. */
  readonly seed: number;
  readonly store?: (store: Store, soil: Soil) => Store;
  readonly database?: (database: Database) => Database;
  readonly wake?: (wake: () => void, random: () => number) => () => void;
}

export const plantedBugs: readonly PlantedBug[] = [];
export type { Statement };
