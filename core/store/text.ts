/**
 * Text that the database gives back as it was given. SQLite cuts text at a NUL and half a surrogate pair has no UTF-8,
 * and senders put both into ids and types, handlers into their output.
 */

/**
 * The text to store. What cannot be stored is written as the JSON escape that means it, so that two different keys
 * stay two: a sender that writes the escape itself can only mix up its own.
 *
 * @returns null for undefined
 */
export function storableText(text: string | undefined): string | null {
  if (text === undefined) return null;
  const value = String(text); // a plugin without types may hand over 42, which SQLite would keep as "42.0"
  if (!value.includes("\0") && value.isWellFormed()) return value;
  return value.replaceAll("\0", "\\u0000").replace(
    /\p{Surrogate}/gu,
    (half) => `\\u${half.charCodeAt(0).toString(16)}`,
  );
}
