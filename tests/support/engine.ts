/**
 * A whole engine on a temporary log, with the standard plugins and a clock in the test's hands.
 */

import { createWeir, type Handler, type Observation, type RoutesFile, type Weir } from "weir";
import { standard } from "weir/plugins";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import { until } from "./until.ts";

/** An engine under test; disposing stops it and removes its log. */
export interface TestEngine extends AsyncDisposable {
  readonly weir: Weir;
  readonly clock: FakeClock;
  readonly folder: string;
  /** Everything that it said so far. */
  readonly observed: Observation[];
  /** Waits for the `count`th observation of a kind that `test` accepts. */
  seen<Kind extends Observation["kind"]>(
    kind: Kind,
    test?: (observation: Observation & { kind: Kind }) => boolean,
    count?: number,
  ): Promise<Observation & { kind: Kind }>;
}

/** What differs from test to test. */
export interface TestEngineOptions {
  readonly sources?: RoutesFile["sources"];
  readonly routes?: RoutesFile["routes"];
  readonly handlers?: Record<string, Handler>;
  /** The log of an earlier engine. */
  readonly folder?: string;
  readonly random?: () => number;
  /** With it there is an admin API. */
  readonly adminToken?: string;
}

/** Starts an engine with a source `app` to publish under. */
export async function startEngine(options: TestEngineOptions): Promise<TestEngine> {
  const folder = options.folder ?? await Deno.makeTempDir({ prefix: "weir-test-" });
  const clock = createFakeClock();
  const config: RoutesFile = {
    version: 1,
    storage: { url: `file:${folder}/weir.db` },
    sources: { app: { publish: true }, ...options.sources },
    routes: options.routes ?? {},
  };
  const weir = await createWeir({
    ...standard(),
    config,
    handlers: options.handlers,
    adminToken: options.adminToken,
    environment: {},
    clock,
    random: options.random ?? (() => 0),
  });
  const observed: Observation[] = [];
  weir.observe((observation) => observed.push(observation));
  await weir.start();
  return {
    weir,
    clock,
    folder,
    observed,
    async seen<Kind extends Observation["kind"]>(
      kind: Kind,
      test: (observation: Observation & { kind: Kind }) => boolean = () => true,
      count = 1,
    ) {
      return await until(
        `${count} x ${kind}`,
        () =>
          observed.filter((each): each is Observation & { kind: Kind } =>
            each.kind === kind && test(each as Observation & { kind: Kind })
          )[count - 1],
      );
    },
    async [Symbol.asyncDispose]() {
      await weir.stop({ graceMs: 0 });
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}
