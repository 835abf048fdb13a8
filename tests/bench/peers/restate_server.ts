/**
 * One node of Restate as it comes, on loopback. Its program is a package of npm, so nothing has to be installed for it.
 */

import { packageFlags } from "./package_flags.ts";
import { findFreePort, type ServerProcess, startServer } from "./server_process.ts";

/** How it is reached: where events are sent to, and where it is told about handlers. */
export interface RestateAddress {
  readonly ingress: string;
  readonly admin: string;
}

/** Starts it on an empty `folder`. */
export async function startRestate(folder: string): Promise<ServerProcess & { address: RestateAddress }> {
  const [ingress, admin, fabric] = [findFreePort(), findFreePort(), findFreePort()];
  const server = await startServer({
    program: Deno.execPath(),
    args: ["run", "-A", ...packageFlags, "npm:@restatedev/restate-server@1.7.12", "--no-logo"],
    env: {
      RESTATE_BASE_DIR: folder,
      RESTATE_NODE_NAME: "bench",
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_BIND_IP: "127.0.0.1",
      RESTATE_BIND_PORT: String(fabric),
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
      RESTATE_DISABLE_TELEMETRY: "true",
      RESTATE_LOG_FORMAT: "compact",
      RESTATE_LOG_DISABLE_ANSI_CODES: "true",
    },
    folder,
    ready: /Server listening server_name=admin-api-server/,
    stopSignal: "SIGTERM",
  });
  return { ...server, address: { ingress: `http://127.0.0.1:${ingress}`, admin: `http://127.0.0.1:${admin}` } };
}
