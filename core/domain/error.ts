/**
 * How a thrown thing becomes words for a log line or an attempt. Errors travel as they are until one of the three
 * places that catch (ingress, execute, the CLI's main) has to describe them.
 */

/** Causes that are followed before the rest is left out; a cause may lead back to its own error. */
const causesMax = 5;

/**
 * One line for a person: the name, the message, and the cause if there is one (of several errors, the first). No NUL is
 * left in it, at which the log would cut it. Never throws: a handler may throw a value that refuses to become text.
 */
export function describeError(thrown: unknown): string {
  try {
    return describeChain(thrown, causesMax).replace(/\s*[\r\n\0]+\s*/g, " ").trim();
  } catch {
    return "thrown: a value that cannot be shown as text";
  }
}

function describeChain(thrown: unknown, causesLeft: number): string {
  if (!(thrown instanceof Error)) return `thrown: ${String(thrown)}`;
  const { name, message } = thrown;
  const own = message === "" ? name : name === "Error" ? message : `${name}: ${message}`;
  const cause = thrown.cause ?? (thrown instanceof AggregateError ? thrown.errors[0] : undefined);
  return cause === undefined || causesLeft === 0 ? own : `${own} (cause: ${describeChain(cause, causesLeft - 1)})`;
}
