import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

Deno.test({
  name: "compileLibrary: without a compiler it says so, and throws nothing",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const module = new URL("./compile_library.ts", import.meta.url).href;
    const script = `const { compileLibrary } = await import(${JSON.stringify(module)});
      console.log(JSON.stringify(await compileLibrary("a.c", "a.so")));`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", script],
      cwd: fileURLToPath(new URL(".", import.meta.url)),
      env: { PATH: "/nowhere" },
    }).output();
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), { reason: "there is no C compiler" });
  },
});
