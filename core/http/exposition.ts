/**
 * Counters, histograms and gauges as Prometheus reads them: its text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Nothing is imported for it: the usual client brings
 * test data along, extensionless files of 100,000 numbers, on which `deno compile` overflows its stack.
 */

/** The media type of the text. */
export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

/** Names and values of labels, in the order in which they are written. */
export type Labels = Readonly<Record<string, string>>;

/** What a family of series is called, and what it says. */
export interface Family {
  readonly name: string;
  readonly help: string;
}

/** A family that only grows, or that counts how often values fell below each bound. */
export interface Instrument {
  /** Counts one, or notes one value. */
  add(labels: Labels, value?: number): void;
  render(): string;
}

/** Makes a counter: each set of labels begins at zero when it is first seen. */
export function createCounter(family: Family): Instrument {
  const totals = new Map<string, number>();
  return {
    add(labels, value = 1) {
      const key = writeLabels(labels);
      totals.set(key, (totals.get(key) ?? 0) + value);
    },
    render() {
      return renderFamily(family, "counter", [...totals].map(([key, total]) => sample(family.name, key, total)));
    },
  };
}

/**
 * Makes a histogram.
 *
 * @param bounds upper bounds of its buckets, ascending; one without a bound is added
 */
export function createHistogram(family: Family, bounds: readonly number[]): Instrument {
  const seen = new Map<string, { readonly buckets: number[]; sum: number; count: number }>();
  return {
    add(labels, value = 1) {
      const key = writeLabels(labels);
      const series = seen.get(key) ?? { buckets: bounds.map(() => 0), sum: 0, count: 0 };
      // A bucket holds all that is at or below its bound, those of the buckets before it included.
      bounds.forEach((bound, at) => value <= bound && series.buckets[at]!++);
      series.sum += value;
      series.count++;
      seen.set(key, series);
    },
    render() {
      const { name } = family;
      const lines = [...seen].flatMap(([key, { buckets, sum, count }]) => [
        ...bounds.map((bound, at) => sample(`${name}_bucket`, joinLabels(`le="${bound}"`, key), buckets[at]!)),
        sample(`${name}_bucket`, joinLabels('le="+Inf"', key), count),
        sample(`${name}_sum`, key, sum),
        sample(`${name}_count`, key, count),
      ]);
      return renderFamily(family, "histogram", lines);
    },
  };
}

/** The text of a gauge whose values were just read. */
export function renderGauge(family: Family, values: readonly (readonly [labels: Labels, value: number])[]): string {
  const lines = values.map(([labels, value]) => sample(family.name, writeLabels(labels), value));
  return renderFamily(family, "gauge", lines);
}

function renderFamily({ name, help }: Family, type: string, lines: readonly string[]): string {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}

function sample(name: string, labels: string, value: number): string {
  return `${name}${labels === "" ? "" : `{${labels}}`} ${value}`;
}

function joinLabels(...labels: readonly string[]): string {
  return labels.filter((label) => label !== "").join(",");
}

function writeLabels(labels: Labels): string {
  let text = "";
  for (const name in labels) text += `${text === "" ? "" : ","}${name}="${escapeValue(labels[name]!)}"`;
  return text;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
