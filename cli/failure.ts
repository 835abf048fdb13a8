/**
 * The two ways in which a command ends early. main.ts is the one place that catches them and knows their exit codes.
 */

/** The thing asked about is not fine; the message says it all. Exit code 1. */
export class Failure extends Error {
  override readonly name = "Failure";
}

/** Ends a command that had done something before it was refused: whoever goes on has to know how much. */
export function failAfter(done: string, thrown: unknown): never {
  throw thrown instanceof Failure ? new Failure(`${done}, then: ${thrown.message}`) : thrown;
}

/** The command was called wrongly. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
