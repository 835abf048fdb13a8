/**
 * The only file that writes to the terminal. Whatever a sender chose is made harmless here, colours appear only where
 * somebody sees them, and a reader that goes away (`weir events list | head`) ends the printing, never the program.
 */

const encoder = new TextEncoder();

/** A stream of the terminal; `broken` once its reader is gone. */
interface Stream {
  readonly file: { writeSync(bytes: Uint8Array): number; write(bytes: Uint8Array): Promise<number> };
  broken: boolean;
}

const stdout: Stream = { file: Deno.stdout, broken: false };
const stderr: Stream = { file: Deno.stderr, broken: false };

/** Most lines of an engine's log that wait for a slow reader; later ones are counted and dropped. */
const waitingLinesMax = 10_000;

/** Prints a line to stdout: what was asked for. */
export function print(line = ""): void {
  writeNow(stdout, `${line}\n`);
}

/** Prints a line to stderr: what went wrong, or what is worth knowing beside the answer. */
export function printError(line: string): void {
  writeNow(stderr, `${line}\n`);
}

/** Prints text as it is, for a caller that brings its own line ends. */
export function printText(text: string, to: "stdout" | "stderr" = "stdout"): void {
  writeNow(to === "stdout" ? stdout : stderr, text);
}

/** Prints a value as JSON, indented; control characters stay escaped, those that JSON would allow too. */
export function printJson(value: unknown): void {
  const text = JSON.stringify(value, undefined, 2);
  print(text.replace(unsafe, (char) => char === "\n" ? char : jsonEscape(char)));
}

/**
 * Queues a line for stdout and returns at once: an engine must not stand still because nobody reads its log. Lines
 * beyond a backlog of 10,000 are dropped and counted.
 */
export function printLater(line: string): void {
  if (stdout.broken) return;
  if (waiting.length >= waitingLinesMax) dropped++;
  else waiting.push(line);
  writing ??= writeWaiting();
}

/** Resolves when every queued line is written, or after the limit: a stopped reader does not keep an engine alive. */
export async function flushLines(limitMs = 1_000): Promise<void> {
  if (writing === undefined) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => timer = setTimeout(resolve, limitMs));
  await Promise.race([writing, limit]);
  clearTimeout(timer);
}

let waiting: string[] = [];
let writing: Promise<void> | undefined;
let dropped = 0;

async function writeWaiting(): Promise<void> {
  // Lines of one turn of the event loop leave in one write.
  await Promise.resolve();
  while (waiting.length > 0 && !stdout.broken) {
    if (dropped > 0) waiting.push(`${dropped} lines were dropped: nobody read them`);
    dropped = 0;
    const bytes = encoder.encode(waiting.join("\n") + "\n");
    waiting = [];
    try {
      for (let at = 0; at < bytes.length;) at += await stdout.file.write(bytes.subarray(at));
    } catch {
      stdout.broken = true;
    }
  }
  waiting = [];
  writing = undefined;
}

function writeNow(stream: Stream, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length && !stream.broken;) at += stream.file.writeSync(bytes.subarray(at));
  } catch {
    stream.broken = true;
  }
}

/** Control characters (C0, DEL, C1), line separators, and the marks that reverse the direction of text. */
// deno-lint-ignore no-control-regex -- finding them is the point
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Makes text of a sender fit for one line of a terminal: no character in it can move the cursor or hide another. */
export function escapeControls(text: string): string {
  return text.replace(unsafe, (char) => shortEscapes[char] ?? jsonEscape(char));
}

/** The same for text of several lines: line ends and tabs stay. */
export function escapeLines(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(
    unsafe,
    (char) => char === "\n" || char === "\t" ? char : escapeControls(char),
  );
}

/** Undoes {@link escapeControls}, for text that somebody copied as it was shown. Backslashes of its own may mislead it. */
export function unescapeControls(text: string): string {
  return text.replace(/\\(?:u[0-9a-f]{4}|[nrt])/g, (escape) => {
    const meant = JSON.parse(`"${escape}"`);
    return escapeControls(meant) === escape ? meant : escape;
  });
}

const shortEscapes: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function jsonEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Wraps text in a colour. */
export type Paint = (text: string) => string;

/** The colours of the house; each one leaves the text alone when stdout is no terminal or NO_COLOR is set. */
export const paint: Readonly<Record<"bold" | "dim" | "red" | "green" | "yellow" | "cyan", Paint>> = {
  bold: (text) => colour(text, 1, 22),
  dim: (text) => colour(text, 2, 22),
  red: (text) => colour(text, 31, 39),
  green: (text) => colour(text, 32, 39),
  yellow: (text) => colour(text, 33, 39),
  cyan: (text) => colour(text, 36, 39),
};

function colour(text: string, open: number, close: number): string {
  return isTerminal() && !Deno.noColor ? `\x1b[${open}m${text}\x1b[${close}m` : text;
}

/** Whether a person looks at stdout. */
export function isTerminal(): boolean {
  return terminal ??= Deno.stdout.isTerminal();
}

let terminal: boolean | undefined;

/** One column of a listing. */
export interface Column<Row> {
  readonly title: string;
  /** The cell's text, unescaped. */
  value(row: Row): string;
  /** Longest cell in characters; what is longer ends in an ellipsis. */
  readonly widthMax?: number;
  /** Colours a cell after it was measured. */
  readonly paint?: (text: string, row: Row) => string;
}

/** Prints rows below each other, one line each. */
export function printTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void {
  const cells = rows.map((row) => columns.map((column) => cut(escapeControls(column.value(row)), column.widthMax)));
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map((line) => line[i]!.length)));
  const line = (texts: readonly string[], paintCell: (text: string, i: number) => string) =>
    texts.map((text, i) => paintCell(i === texts.length - 1 ? text : text.padEnd(widths[i]!), i)).join("  ").trimEnd();
  print(line(columns.map((column) => column.title), (text) => paint.dim(text)));
  rows.forEach((row, r) => print(line(cells[r]!, (text, i) => columns[i]!.paint?.(text, row) ?? text)));
}

function cut(text: string, widthMax = 60): string {
  return text.length <= widthMax ? text : `${text.slice(0, widthMax - 1)}…`;
}
