/**
 * What is measured, in words, with the bar that each figure is held against.
 */

/** One figure of the table. */
export interface FigureInfo {
  readonly title: string;
  readonly unit: string;
  /** The bar it should reach: at least, or at most. */
  readonly bar?: { readonly atLeast: number } | { readonly atMost: number };
}

/** What is measured of every way to run a peer: the same as of the engine. */
const peerFigures = <Name extends string>(name: Name, title: string) => ({
  [`${name}.ingest`]: { title: `${title}: ingest, handler running, of wire`, unit: "x" },
  [`${name}.finishedMeanwhile`]: { title: "… finished meanwhile", unit: "x" },
  [`${name}.endToEnd`]: { title: `${title}: end to end, of wire`, unit: "x" },
  [`${name}.cpu`]: { title: `${title}: CPU per event, its server included`, unit: "ms" },
  [`${name}.cpuOfWire`]: { title: "… of what wire takes", unit: "x" },
  [`${name}.p50`]: { title: `${title}, 200/s: POST to start of handler, p50 over wire`, unit: "ms" },
  [`${name}.p99`]: { title: `${title}, 200/s: POST to start of handler, p99 over wire`, unit: "ms" },
} as Record<
  `${Name}.${"ingest" | "finishedMeanwhile" | "endToEnd" | "cpu" | "cpuOfWire" | "p50" | "p99"}`,
  FigureInfo
>);

/** Every figure, by its name in the JSON output, in the order of the table. */
export const figures = {
  "generator.ceiling": { title: "load generator against a static responder, of wire", unit: "x" },
  "generator.cpu": { title: "… its CPU per request to wire", unit: "ms" },
  "wire.rate": { title: "wire", unit: "/s" },
  "wire.cpu": { title: "wire, CPU per request", unit: "ms" },
  "durable.ingest": { title: "wire with one durable row of an unindexed table, of wire", unit: "x" },
  "durable.cpu": { title: "… CPU per request", unit: "ms" },
  "paused.ingest": { title: "ingest, handlers paused, of wire", unit: "x", bar: { atLeast: 0.95 } },
  "paused.cpu": { title: "ingest alone, CPU per event", unit: "ms" },
  "paused.cpuOfWire": { title: "… of what wire takes", unit: "x" },
  "inline.ingest": { title: "ingest, inline handler running, of wire", unit: "x", bar: { atLeast: 0.7 } },
  "inline.finishedMeanwhile": { title: "… finished meanwhile", unit: "x", bar: { atLeast: 0.5 } },
  "inline.endToEnd": { title: "end to end, inline handler, of wire", unit: "x" },
  "inline.cpu": { title: "end to end, inline handler, CPU per event", unit: "ms", bar: { atMost: 0.2 } },
  "inline.cpuOfWire": { title: "… of what wire takes", unit: "x" },
  "script.ingest": { title: "ingest, sandboxed script running, of wire", unit: "x", bar: { atLeast: 0.7 } },
  "script.finishedMeanwhile": { title: "… finished meanwhile", unit: "x", bar: { atLeast: 0.5 } },
  "script.endToEnd": { title: "end to end, sandboxed script, of wire", unit: "x", bar: { atLeast: 0.5 } },
  "script.cpu": { title: "end to end, sandboxed script, CPU per event", unit: "ms", bar: { atMost: 0.3 } },
  "script.cpuOfWire": { title: "… of what wire takes", unit: "x" },
  "target.ingest": { title: "ingest, HTTP target running, of wire", unit: "x" },
  "target.finishedMeanwhile": { title: "… finished meanwhile", unit: "x" },
  "target.endToEnd": { title: "end to end, HTTP target, of wire", unit: "x" },
  "target.cpu": { title: "end to end, HTTP target, CPU per event", unit: "ms" },
  "target.cpuOfWire": { title: "… of what wire takes", unit: "x" },
  "latency.wire.p50": { title: "200/s: wire's answer, p50", unit: "ms" },
  "latency.inline.p50": { title: "200/s: POST to start of inline handler, p50 over wire", unit: "ms" },
  "latency.inline.p99": { title: "200/s: POST to start of inline handler, p99 over wire", unit: "ms" },
  "latency.script.p50": {
    title: "200/s: POST to start of script, p50 over wire",
    unit: "ms",
    bar: { atMost: 2 },
  },
  "latency.script.p99": {
    title: "200/s: POST to start of script, p99 over wire",
    unit: "ms",
    bar: { atMost: 10 },
  },
  "ordered.ofUnordered": {
    title: "end to end over 1,000 keys, inline, of the unordered rate",
    unit: "x",
    bar: { atLeast: 0.8 },
  },
  "hotKey.rate": { title: "one hot key, inline handler", unit: "/s", bar: { atLeast: 1_000 } },
  "blocked.ingest": {
    title: "ingest with the backlog behind blocked heads, of empty",
    unit: "x",
    bar: { atLeast: 0.9 },
  },
  "blocked.endToEnd": { title: "end to end with it, of empty", unit: "x", bar: { atLeast: 0.9 } },
  "closed.ingest": {
    title: "ingest with half the backlog due behind an open breaker, of empty",
    unit: "x",
    bar: { atLeast: 0.9 },
  },
  "closed.endToEnd": { title: "end to end with it, of empty", unit: "x", bar: { atLeast: 0.9 } },
  "slowDisk.ingest": {
    title: "ingest with 5 ms an fsync, of the same engine without",
    unit: "x",
    bar: { atLeast: 0.6 },
  },
  "growth.file": { title: "log file after ingest, per event", unit: "B" },
  "growth.wal": { title: "WAL file after ingest", unit: "MiB" },
  "start.empty": { title: "weir serve, start to ready, empty log", unit: "ms", bar: { atMost: 450 } },
  "start.backlog": { title: "weir serve, start to ready, backlog", unit: "ms", bar: { atMost: 1_000 } },
  "start.handler": { title: "first delivery of a fresh engine, POST to handler start", unit: "ms" },
  "memory.started": { title: "weir serve, resident a second after its start", unit: "MB" },
  "memory.idle": { title: "weir serve, resident when idle", unit: "MB", bar: { atMost: 95 } },
  "memory.after": { title: "weir serve, resident after the load", unit: "MB" },
  "serve.ingest": { title: "ingest through weir serve and its log lines, of wire", unit: "x" },
  "serve.cpu": { title: "ingest through weir serve, CPU per event", unit: "ms" },
  ...peerFigures("bullmq-everysec", "BullMQ, Redis syncing every second"),
  ...peerFigures("bullmq-always", "BullMQ, Redis syncing always"),
  ...peerFigures("pg-boss-polling", "pg-boss, polling"),
  ...peerFigures("pg-boss-notify", "pg-boss, woken by NOTIFY"),
  ...peerFigures("restate", "Restate"),
} as const satisfies Record<string, FigureInfo>;

/** The name of a figure. */
export type Figure = keyof typeof figures;

/** Some figures of one run. */
export type Figures = Partial<Record<Figure, number>>;
