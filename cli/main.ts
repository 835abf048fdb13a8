/**
 * The command line `weir`: the table of its commands, and the one place where their failures become exit codes. Every
 * command is a module that is loaded when it is called.
 */

import { Failure, UsageError } from "./failure.ts";

/** Exit codes: fine, the thing asked about is not fine, wrong usage. */
const exitCodes = { fine: 0, notFine: 1, usage: 2 } as const;

/**
 * Runs one command line.
 *
 * @param args without the program's name
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  const { Command, CommanderError, InvalidArgumentError } = await import("commander");
  const { printError, printText } = await import("./print.ts");
  let code: number = exitCodes.fine;
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
    printText(`${(await import("../core/mod.ts")).version}\n`);
    return code;
  }

  const weir = new Command("weir")
    .description("Turns incoming webhooks into work that finishes.")
    .option("-V, --version", "print the version")
    .exitOverride()
    .configureOutput({ writeOut: (text) => printText(text), writeErr: (text) => printText(text, "stderr") })
    .showHelpAfterError("(--help says more)");
  type Listed = typeof weir;

  const number = (text: string) => {
    if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
    return Number(text);
  };
  const collect = (text: string, before: readonly string[] = []) => [...before, text];
  const withConfig = (command: Listed) =>
    command.option("--config <file>", "the project's routes.yaml", "./routes.yaml");
  const withEngine = (command: Listed) =>
    withConfig(command).option("--admin <url>", "the engine's admin address, when not the one of routes.yaml");
  const withJson = (command: Listed) => command.option("--json", "print JSON");
  const withPages = (command: Listed) =>
    withJson(withEngine(command))
      .option("--limit <n>", "how many", number, 20)
      .option("--before <seq>", "only older ones than this", number);
  const withTimes = (command: Listed) =>
    command.option("--since <when>", "only from then on: 2h ago, or a date").option(
      "--until <when>",
      "only before then",
    );
  const withQueue = (command: Listed) =>
    command.option("--route <name>", "only of this route").option("--target <name>", "only for this target");
  const withDeliveries = (command: Listed) =>
    withTimes(withQueue(command)).option("--source <name>", "only of events of this source");
  /** For a word that is meant for many. */
  const withMany = (command: Listed) =>
    withDeliveries(withEngine(command)).option("--all", "yes, all that match").option("--dry-run", "only count them");
  /** Runs a command's function and keeps its exit code. */
  // deno-lint-ignore no-explicit-any -- commander hands over what the line above each use has declared
  const run = (command: (...given: any[]) => Promise<number>) => async (...given: unknown[]) => {
    code = await command(...given);
  };

  weir.command("init [dir]").description("make a working project in a folder")
    .action(run(async (dir = ".") => await (await import("./init.ts")).init(dir)));
  withConfig(weir.command("serve").description("run the engine"))
    .action(run(async (options) => await (await import("./serve.ts")).serve(options)));
  withConfig(weir.command("dev").description("run the engine, reload on change, show what happens"))
    .action(run(async (options) => await (await import("./dev.ts")).dev(options)));
  withJson(withConfig(weir.command("check").description("say everything that is wrong with routes.yaml")))
    .action(run(async (options) => await (await import("./check.ts")).check(options)));
  withJson(withEngine(weir.command("send <source> [type]").description("post an event, signed as its sender would")))
    .option("--data <file>", "the body; - is stdin; without it, a sample")
    .option("--set <path=value>", "put a value into the body; may be repeated", collect)
    .option("--id <id>", "the sender's id of the event")
    .option("--url <url>", "where the engine takes events, when not the address of routes.yaml")
    .action(run(async (source, type, options) => await (await import("./send.ts")).send(source, type, options)));

  const events = weir.command("events").description("what came in");
  withTimes(withPages(events.command("list").description("newest first")))
    .option("--source <name>", "only of this source").option("--type <type>", "only of this type")
    .action(run(async (options) => await (await import("./events.ts")).listEvents(options)));
  withJson(withEngine(events.command("show <id>").description("one event with its body and deliveries")))
    .action(run(async (id, options) => await (await import("./events.ts")).showEvent(id, options)));

  withTimes(withJson(withEngine(events.command("replay [id...]").description("route old events by the routes of now"))))
    .option("--source <name>", "only of this source").option("--type <type>", "only of this type")
    .option("--route <name>", "only to this route; may be repeated", collect)
    .option("--all", "yes, all that match").option("--dry-run", "only say what would be")
    .action(run(async (ids, options) => await (await import("./event_actions.ts")).replay(ids, options)));
  withTimes(
    withJson(withEngine(events.command("purge [id...]").description("erase events and all that belongs to them"))),
  )
    .option("--source <name>", "only of this source").option("--type <type>", "only of this type")
    .option("--all", "yes, all that match").option("--dry-run", "only count them")
    .action(run(async (ids, options) => await (await import("./event_actions.ts")).purge(ids, options)));

  const deliveries = weir.command("deliveries").description("the work that events became");
  withDeliveries(withPages(deliveries.command("list").description("newest first")))
    .option("--lane <key>", "only with this ordering key").option("--state <state>", "only in this state")
    .option("--event <id>", "only of this event")
    .action(run(async (options) => await (await import("./deliveries.ts")).listDeliveries(options)));
  withJson(withEngine(deliveries.command("show <id>").description("one delivery with its attempts")))
    .action(run(async (id, options) => await (await import("./deliveries.ts")).showDelivery(id, options)));
  withMany(deliveries.command("redeliver [id...]").description("make new deliveries from finished ones"))
    .option("--lane <key>", "only with this ordering key").option("--state <state>", "only in this state")
    .action(run(async (ids, options) => await (await import("./redeliver.ts")).redeliver(ids, options)));
  withMany(deliveries.command("cancel [id...]").description("cancel what is neither running nor finished"))
    .option("--lane <key>", "only with this ordering key").option("--state <state>", "only in this state")
    .action(run(async (ids, options) => await (await import("./redeliver.ts")).cancel(ids, options)));
  withEngine(deliveries.command("resume <id...>").description("run parked ones again, with fresh attempts"))
    .action(run(async (ids, options) => await (await import("./redeliver.ts")).resumeDeliveries(ids, options)));
  withEngine(deliveries.command("skip <id...>").description("end what waits as skipped; its lane goes on"))
    .action(run(async (ids, options) => await (await import("./redeliver.ts")).skipDeliveries(ids, options)));

  const dead = weir.command("dead").description("dead letters");
  withDeliveries(withPages(dead.command("list").description("those that were not redelivered, newest first")))
    .option("--all", "also those that were")
    .action(run(async (options) => await (await import("./deliveries.ts")).listDead(options)));
  withMany(dead.command("redeliver [id...]").description("make new deliveries from dead letters"))
    .action(run(async (ids, options) => await (await import("./redeliver.ts")).redeliverDead(ids, options)));

  const lanes = weir.command("lanes").description("where work waits in order");
  withQueue(withJson(withEngine(lanes.command("list").description("the longest first"))))
    .option("--lane <key>", "only this one").option("--state <state>", "only with a head in this state")
    .option("--limit <n>", "how many", number, 20)
    .action(run(async (options) => await (await import("./lanes.ts")).listLanes(options)));
  withJson(withEngine(lanes.command("show <queue> <lane>").description("its head, and what waits behind it in order")))
    .option("--limit <n>", "how many", number, 20).option("--after <seq>", "only those after this one", number)
    .action(run(async (queue, lane, options) => await (await import("./lanes.ts")).showLane(queue, lane, options)));
  withEngine(lanes.command("skip <queue> <lane>").description("end its head as skipped; the lane goes on"))
    .action(run(async (queue, lane, options) => await (await import("./lanes.ts")).skipLane(queue, lane, options)));
  withEngine(lanes.command("resume <queue> <lane>").description("run its parked head again, with fresh attempts"))
    .action(run(async (queue, lane, options) => await (await import("./lanes.ts")).resumeLane(queue, lane, options)));

  withJson(withEngine(weir.command("explain <event>").description("why it went where it went, and what it waits for")))
    .action(run(async (id, options) => await (await import("./explain.ts")).explain(id, options)));
  withEngine(weir.command("pause [queue]").description("take nothing from ROUTE, ROUTE/TARGET, or a source"))
    .option("--source <name>", "a source").option("--reason <text>", "shown wherever somebody wonders")
    .action(run(async (queue, options) => await (await import("./pause.ts")).pause(queue, options)));
  withEngine(weir.command("resume [queue]").description("let ROUTE, ROUTE/TARGET, or a source go on"))
    .option("--source <name>", "a source")
    .action(run(async (queue, options) => await (await import("./pause.ts")).resume(queue, options)));
  withJson(withEngine(weir.command("status").description("whether the engine runs, and what waits")))
    .action(run(async (options) => await (await import("./status.ts")).status(options)));
  withEngine(weir.command("backup <file>").description("copy the log while the engine goes on"))
    .action(run(async (file, options) => await (await import("./backup.ts")).backup(file, options)));
  weir.command("schema").description("print the JSON Schema of routes.yaml")
    .action(run(async () => (await import("./check.ts")).schema()));
  weir.command("secret").description("make a secret")
    .action(run(async () => (await import("./secret.ts")).secret()));
  weir.command("demo").description("show everything at work on a project made for it")
    .option("--once", "end when the fate of every sample is known").option("--dir <dir>", "where to make it", "./demo")
    .action(run(async (options) => await (await import("./demo.ts")).demo(options)));

  try {
    await weir.parseAsync(args, { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
    printError(`weir: ${describe(thrown)}`);
    return thrown instanceof UsageError ? exitCodes.usage : exitCodes.notFine;
  }
}

/** What a person is told: the message of an expected end, the whole stack of a mistake in Weir itself. */
function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown instanceof Failure || thrown instanceof UsageError) return thrown.message;
  const mistake = thrown instanceof TypeError || thrown instanceof ReferenceError || thrown instanceof RangeError;
  return mistake ? thrown.stack ?? thrown.message : thrown.message;
}

if (import.meta.main) {
  // The engine starts this same program for its handlers and for backups: that must be quick, so nothing else is loaded.
  if (Deno.args[0] === "__script_host") {
    await (await import("../plugins/handlers/script_host.ts")).runScriptHost();
  } else if (Deno.args[0] === "__backup") {
    (await import("../core/store/backup_process.ts")).runBackup(Deno.args.slice(1));
  } else {
    Deno.exit(await main(Deno.args));
  }
}
