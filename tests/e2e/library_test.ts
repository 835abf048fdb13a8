import { assertEquals, assertMatch } from "@std/assert";
import { createHmac } from "node:crypto";
import { createShop } from "../examples/hono_app.ts";
import { until } from "../support/until.ts";

Deno.test("createWeir: mounted in a Hono app, it takes signed requests and publications and runs inline handlers", async () => {
  const folder = await Deno.makeTempDir({ prefix: "weir-shop-" });
  const githubSecret = "a secret that is long enough";
  const done: string[] = [];
  const { app, weir } = await createShop({ folder, githubSecret, done: (what) => done.push(what) });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, app.fetch);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const sign = (body: string) => `sha256=${createHmac("sha256", githubSecret).update(body).digest("hex")}`;
  const push = async (signature: (body: string) => string) => {
    const body = JSON.stringify({ repository: { name: "weir" } });
    const response = await fetch(`${url}/weir/hooks/github`, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": "delivery-1",
        "x-hub-signature-256": signature(body),
      },
    });
    return { status: response.status, answer: await response.json() };
  };
  const join = async (user: unknown) =>
    await (await fetch(`${url}/users`, { method: "POST", body: JSON.stringify(user) })).json();

  try {
    assertEquals((await push(sign)).status, 503, "before it is started nothing is accepted");
    await weir.start();

    const accepted = await push(sign);
    assertEquals(accepted.status, 202);
    assertMatch(accepted.answer.id, /^evt_/);
    assertEquals((await push(sign)).answer, { id: accepted.answer.id, status: "duplicate" });
    assertEquals((await push(() => `sha256=${"0".repeat(64)}`)).status, 401);

    const joined = await join({ id: 7, name: "Ada" });
    assertEquals(joined.status, "accepted");
    assertEquals(await join({ id: 7, name: "Ada" }), { event: joined.event, status: "duplicate" });

    await until("both are done", () => done.length >= 2);
    assertEquals(done.sort(), ["deploy weir", "welcome Ada"]);
    assertEquals(await (await fetch(url)).text(), "the shop");
  } finally {
    await server.shutdown();
    await weir.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
