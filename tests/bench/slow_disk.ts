/**
 * A disk whose fsync takes 5 ms longer, made of a library that is loaded in front of the C library. It is compiled when
 * it is needed; where there is no C compiler there is no slow disk.
 */

const source = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int fsync(int fd) {
  usleep(5000);
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
int fdatasync(int fd) {
  usleep(5000);
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
`;

/** What to start a process with, or why there is nothing. */
export type SlowDisk =
  | { readonly ok: true; readonly env: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly reason: string };

/** Compiles the library into `folder`. */
export async function buildSlowDisk(folder: string): Promise<SlowDisk> {
  const file = `${folder}/slow_disk.c`;
  const library = `${folder}/slow_disk.so`;
  await Deno.writeTextFile(file, source);
  try {
    const { success, stderr } = await new Deno.Command("gcc", {
      args: ["-shared", "-fPIC", "-O2", "-o", library, file, "-ldl"],
    }).output();
    if (!success) return { ok: false, reason: `gcc: ${new TextDecoder().decode(stderr).split("\n")[0]}` };
  } catch (error) {
    return { ok: false, reason: `there is no gcc: ${(error as Error).message}` };
  }
  return { ok: true, env: { LD_PRELOAD: library } };
}
