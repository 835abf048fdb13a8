/**
 * Weir inside a web application: Hono serves the pages, Weir takes the webhooks under /weir, and both share a process.
 * What an event means is decided by functions of this program.
 */

import { Hono } from "hono";
import { createWeir, type Weir } from "weir";
import { standard } from "weir/plugins";

/** What the application needs from where it runs. */
export interface ShopOptions {
  /** Where the log is kept. */
  readonly folder: string;
  readonly githubSecret: string;
  /** Called for every welcome and every push, in order per user and per repository. */
  readonly done: (what: string) => void;
}

/** Builds the application; the caller starts Weir and serves the app. */
export async function createShop({ folder, githubSecret, done }: ShopOptions): Promise<{ app: Hono; weir: Weir }> {
  const weir = await createWeir({
    ...standard(),
    config: {
      version: 1,
      storage: { url: `file:${folder}/weir.db` },
      sources: {
        github: { provider: "github", secret: githubSecret }, // POST /weir/hooks/github
        app: { publish: true },
      },
      routes: {
        deploy: { from: "github", on: "push", order_by: "body.repository.name" },
        welcome: { from: "app", on: "user.created", order_by: "body.id", retry: { schedule: ["50ms"] } },
      },
    },
    handlers: {
      deploy: (event) => done(`deploy ${event.body.repository.name}`),
      welcome: (event, ctx) => {
        if (ctx.attempt === 1) throw new Error("the mail server is busy"); // tried again, durably
        done(`welcome ${event.body.name}`);
      },
    },
  });

  const app = new Hono();
  app.get("/", (c) => c.text("the shop"));
  app.post("/users", async (c) => {
    const user = await c.req.json();
    // Once this resolves the welcome survives a crash; the key makes a repeated form post harmless.
    const { id, status } = await weir.publish({
      source: "app",
      type: "user.created",
      body: user,
      idempotencyKey: `user-${user.id}`,
    });
    return c.json({ event: id, status }, 201);
  });
  app.mount("/weir", weir.fetch);
  return { app, weir };
}
