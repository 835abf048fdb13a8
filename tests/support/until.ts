/**
 * Waiting for a fact instead of sleeping.
 */

/** How long a fact may take before the test fails; generous, because machines are noisy. */
const limitMs = 20_000;

/**
 * Resolves with the first value of `look` that is not undefined, null or false.
 *
 * @param fact what is waited for, for the message when it never comes
 */
export async function until<Value>(
  fact: string,
  look: () => Value | undefined | null | false | Promise<Value | undefined | null | false>,
): Promise<Value> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${fact}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
