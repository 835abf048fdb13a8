/**
 * Shared libraries that are preloaded under an engine, compiled where they are needed.
 */

/**
 * Compiles one file of C.
 *
 * @returns the library's path, or why it cannot be had here
 */
export async function compileLibrary(
  source: string,
  library: string,
): Promise<{ library: string } | { reason: string }> {
  if (Deno.build.os !== "linux") return { reason: "what is preloaded is for Linux" };
  const args = ["-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"];
  try {
    const { success, stderr } = await new Deno.Command("cc", { args }).output();
    return success ? { library } : { reason: new TextDecoder().decode(stderr) };
  } catch {
    // A command that is not there is thrown at once, and not by the promise.
    return { reason: "there is no C compiler" };
  }
}
