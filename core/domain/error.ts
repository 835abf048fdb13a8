/**
 * How a thrown thing becomes words for a log line or an attempt. Errors travel as they are until one of the three
 * places that catch (ingress, execute, the CLI's main) has to describe them.
 */

/** One line for a person: the name, the message, and the cause if there is one. */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `thrown: ${String(thrown)}`;
  const own = thrown.name === "Error" ? thrown.message : `${thrown.name}: ${thrown.message}`;
  return thrown.cause === undefined ? own : `${own} (cause: ${describeError(thrown.cause)})`;
}
