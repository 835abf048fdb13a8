/**
 * Where a value stands in routes.yaml: the keys and list positions from the root down to it.
 */

/** Keys and list positions from the root of the file. */
export type Path = readonly (string | number)[];

/** Writes a path the way people do: `routes.mirror.send[0].url`. */
export function formatPath(path: Path): string {
  return path.map((key) => typeof key === "number" ? `[${key}]` : `.${key}`).join("").replace(/^\./, "");
}

/** The value at a path of a plain tree; undefined when there is none. */
export function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key) ? value[key as never] : undefined,
    tree,
  );
}
