import { simulate } from "./simulation.ts";
const [from, n, tr] = [Number(Deno.args[0] ?? 0), Number(Deno.args[1] ?? 20), Deno.args[2]];
const folder = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "weir-sim-" });
const t = performance.now();
let bad = 0, steps = 0;
for (let s = from; s < from + n; s++) {
  const r = await simulate(s, { folder, trace: tr ? console.log : undefined });
  steps += r.steps;
  if (r.findings.length) {
    bad++;
    console.log(s, r.tookMs, r.steps, r.findings.slice(0, 4));
    if (bad > 5) break;
  }
}
console.log(n, "seeds", (performance.now() - t) / n, "ms each", steps / n, "steps", bad, "bad");
await Deno.remove(folder, { recursive: true });
