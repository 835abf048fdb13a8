/**
 * What the engine tells whoever listens: one record per unit of work, with every id and the decision taken. The log
 * lines, the live tail and the metrics are all made of these.
 */

import type { DeliveryState } from "../domain/delivery.ts";
import { describeError } from "../domain/error.ts";
import type { Outcome } from "../domain/outcome.ts";

/** One unit of work, done. */
export type Observation =
  | {
    readonly kind: "event.received";
    readonly at: number;
    readonly eventId: string;
    readonly source: string;
    readonly type: string;
    readonly status: "accepted" | "duplicate";
    /** Names of the queues that it went to; empty when no route matched. */
    readonly queues: readonly string[];
    /** Names of the routes that it took past their lanes, because what they order by is null or missing in it. */
    readonly withoutLane?: readonly string[];
    /**
     * Why a person has to look: an expression of its source failed, or of a route. Deliveries are parked for it; where
     * no route matched, it stands only here.
     */
    readonly fault?: string;
  }
  | {
    readonly kind: "request.refused";
    readonly at: number;
    readonly source: string;
    readonly status: number;
    readonly reason: string;
  }
  | {
    readonly kind: "delivery.attempted";
    readonly at: number;
    readonly deliveryId: string;
    readonly eventId: string;
    readonly eventType: string;
    readonly source: string;
    readonly queue: string;
    readonly lane?: string;
    readonly attempt: number;
    readonly durationMs: number;
    readonly outcome: Outcome["kind"];
    readonly state: DeliveryState;
    readonly reason?: string;
    /** When it will be tried again, if it will. */
    readonly dueAt?: number;
  }
  | { readonly kind: "lease.lost"; readonly at: number; readonly deliveryId: string; readonly queue: string }
  | {
    readonly kind: "engine";
    readonly at: number;
    readonly level: "info" | "warn" | "error";
    readonly message: string;
  };

/** Takes an observation; must not throw and must return at once. */
export type Observer = (observation: Observation) => void;

/** Everybody who looks on. */
export interface Observers {
  readonly observe: Observer;
  /** @returns takes it out again */
  add(observer: Observer): () => void;
}

/** Makes a list of observers that each hear everything. */
export function createObservers(...first: readonly Observer[]): Observers {
  const observers = new Set(first);
  return {
    observe(observation) {
      for (const observer of observers) {
        try {
          observer(observation);
        } catch (error) {
          // It breaks its promise; the work that it watches must not suffer for that, nor those who look on beside it.
          console.error(`weir: an observer threw: ${describeError(error)}`);
        }
      }
    },
    add(observer) {
      observers.add(observer);
      return () => void observers.delete(observer);
    },
  };
}
