/**
 * Events that are only there to be erased, under a source of their own: no route takes them. The history has them as
 * requests whose fate nobody knows, because the checker would miss what was erased; the ledger knows better.
 */

import { createHmac } from "node:crypto";
import type { Client } from "../../../cli/client.ts";
import type { HistoryRecord } from "../../support/history.ts";
import type { Ledger } from "./ledger.ts";

/** Longest wait for an answer. */
const answerMsMax = 10_000;

/** Ids of the flood's requests are far below. */
const firstOp = 1_000_000_000;

/** The heap. */
export interface Scrap {
  /** Throws one more on it, if the engine lives to take it. */
  send(to: { ingestUrl: string; secret: string }): Promise<void>;
  /** Has the oldest that is known to be there erased. Returns whether it was. */
  erase(client: Client): Promise<boolean>;
}

/** Makes an empty heap. */
export function createScrap({ records, ledger }: { records: HistoryRecord[]; ledger: Ledger }): Scrap {
  const heap: string[] = [];
  let sent = 0;
  return {
    async send({ ingestUrl, secret }) {
      const op = firstOp + sent++;
      const key = `scrap-${op}`;
      const body = JSON.stringify({ key });
      records.push({ kind: "ingest", step: "invoke", op, key });
      records.push({ kind: "ingest", step: "info", op });
      try {
        const response = await fetch(`${ingestUrl}/hooks/scrap`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": key,
            "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
          },
          body,
          signal: AbortSignal.timeout(answerMsMax),
        });
        const text = await response.text();
        if (response.status >= 500) return;
        if (response.status !== 202) return ledger.complain(`${key} was answered ${response.status}: ${text}`);
        const { id } = JSON.parse(text);
        ledger.confirmScrap(id);
        heap.push(id);
      } catch {
        // The engine has died, and nobody knows.
      }
    },
    async erase(client) {
      // Not the last one: what came in this very millisecond is not meant by a purge.
      const id = heap.length > 1 ? heap.shift() : undefined;
      if (id === undefined) return false;
      ledger.askErasure(id);
      const { events } = await client.purge({ ids: [id] });
      if (events !== 1) ledger.complain(`${id} was to be erased, and ${events} events were`);
      ledger.confirmErasure(id);
      return true;
    },
  };
}
