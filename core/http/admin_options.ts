/**
 * What the admin API is wired to: the log, the configuration, and what a person's word sets in motion. `weir.ts` puts it
 * together.
 */

import type { Clock } from "../domain/clock.ts";
import type { Config } from "../domain/config.ts";
import type { Observer } from "../engine/observer.ts";
import type { ReloadEffect } from "../engine/reload_effect.ts";
import type { Replay } from "../engine/replay.ts";
import type { SourcePauses } from "../engine/source_pauses.ts";
import type { Backup } from "../store/backup.ts";
import type { Store } from "../store/store.ts";
import type { EngineStatus, IssueView } from "./admin_schema.ts";
import type { Metrics } from "./metrics.ts";

/** What the admin API is wired to. */
export interface AdminOptions {
  readonly store: Store;
  readonly config: () => Config;
  /** Called when a delivery may have become ready. */
  readonly wake: () => void;
  readonly reload: () => Promise<{ ok: true } & ReloadEffect | { ok: false; issues: readonly IssueView[] }>;
  readonly replay: Replay;
  readonly pauses: SourcePauses;
  /** Copies the log into a file; the path is absolute. */
  readonly backup: (file: string) => Promise<Backup>;
  readonly status: () => EngineStatus;
  readonly metrics: Metrics;
  readonly observe: Observer;
  readonly token: string;
  readonly makeDeliveryId: () => string;
  readonly clock: Clock;
  /** Host names, without ports, that it may be called by beside its address and localhost. */
  readonly hosts?: readonly string[];
}
