/**
 * The short form of the benchmark: it fails when a measurement is broken (an event refused, lost or finished twice, a log
 * that was not written in FULL, a figure that is missing), and never because a machine is slow.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { figures } from "./figures.ts";
import { peerNames } from "./peers/peers.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

async function bench(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), error: decode(stderr) };
}

Deno.test("the short benchmark measures every figure and keeps it as JSON", async () => {
  const jsonFile = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const { code, out, error } = await bench("--short", "--json", jsonFile);
    assertEquals(code, 0, error);
    const report = JSON.parse(await Deno.readTextFile(jsonFile));
    const own = Object.keys(figures).filter((name) => !peerNames.some((peer) => name.startsWith(peer)));
    for (const name of own) {
      // The slow disk is made by a small C library: where nothing can compile it, the benchmark says so and goes on.
      if (name === "slowDisk.ingest" && error.includes("skipped the slow disk")) continue;
      assert(Number.isFinite(report.figures[name]?.median), `${name} was not measured`);
    }
    assertStringIncludes(out, "| ingest, handlers paused, of wire |");
  } finally {
    await Deno.remove(jsonFile);
  }
});

Deno.test("a benchmark that is asked for what it does not know says so in one line and measures nothing", async () => {
  for (const args of [["--only", "nothing"], ["--peers", "nobody"], ["--pairs", "0"]]) {
    const { code, out, error } = await bench("--short", ...args);
    assertEquals(code, 1, args.join(" "));
    assertEquals([out, error.trim().split("\n").length], ["", 1], error);
  }
});
