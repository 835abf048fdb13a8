/**
 * Weir: an embeddable workflow engine for webhooks. This is the public door of the library; plugin authors use
 * `weir/plugin`, and the standard providers and handlers are in `weir/plugins`.
 */

export { ConfigError, createWeir, type Reloaded, StoreUnavailable, type Weir, type WeirOptions } from "./weir.ts";
export { loadConfig, type LoadedConfig, type LoadOptions, type RoutesFile } from "./config/load.ts";
export { readAdminAddress } from "./config/admin_address.ts";
export { type ConfigIssue, formatIssue } from "./config/issue.ts";
export { routesJsonSchema } from "./config/schema.ts";

export { version } from "./domain/version.ts";

export type { Clock, Random } from "./domain/clock.ts";
export type { Address, Config, HttpSource, Route, Source } from "./domain/config.ts";
export type { DeliveryState } from "./domain/delivery.ts";
export type { Handler, HandlerContext, HandlerEvent } from "./domain/handler.ts";
export type { Publication } from "./engine/intake.ts";
export type { Observation, Observer } from "./engine/observer.ts";
export type { Bulk } from "./engine/bulk.ts";
export type { PurgeAnswer } from "./engine/purge.ts";
export type { Replayed } from "./engine/replay.ts";
export type {
  ExplanationView,
  LaneDetailView,
  LaneListView,
  LaneMovedView,
  LaneView,
  PausedQueuesView,
  SourcePauseView,
} from "./http/admin_action_schema.ts";
export type {
  DeadPageView,
  DeliveryDetailView,
  DeliveryView,
  EventView,
  QueueView,
  StatusView,
} from "./http/admin_schema.ts";
export type { Backup } from "./store/backup.ts";
export type { AttemptRow, DeliveryDetail, DeliveryRow, EventRow, Page, QueueRow } from "./store/store.ts";
