/**
 * A file system of a few megabytes, to be filled. Mounting one needs root.
 */

/** A small disk; disposing unmounts it. */
export interface SmallDisk extends AsyncDisposable {
  readonly folder: string;
  /** Makes it as large as that in all. */
  grow(size: string): Promise<void>;
}

/**
 * Mounts one.
 *
 * @param size such as `8m`
 */
export async function smallDisk(size: string): Promise<SmallDisk> {
  const folder = await Deno.makeTempDir({ prefix: "weir-disk-" });
  try {
    await run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder);
  } catch (error) {
    await Deno.remove(folder);
    throw error;
  }
  return {
    folder,
    grow: (size) => run("mount", "-o", `remount,size=${size}`, folder),
    async [Symbol.asyncDispose]() {
      await run("umount", folder);
      await Deno.remove(folder);
    },
  };
}

/** Why there can be none here; undefined when there can. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "mounting a small file system is only tried on Linux";
  try {
    await (await smallDisk("64k"))[Symbol.asyncDispose]();
  } catch (error) {
    return `a small file system cannot be mounted: ${(error as Error).message}`;
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
}
