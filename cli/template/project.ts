/**
 * The files that `weir init` writes. They are real files beside this one, so that they are formatted and checked like
 * all others, and part of the program, so that the compiled binary has them too.
 */

import hello from "./project/plugins/hello.ts" with { type: "text" };
import routes from "./project/routes.yaml" with { type: "text" };
import { adminTokenFile } from "../admin_token.ts";
import { makeSecret } from "../secret.ts";

/** A file to write: its path below the project's folder, its text, and whether only the owner may read it. */
export interface TemplateFile {
  readonly path: string;
  readonly text: string;
  readonly secret?: boolean;
}

/** A new project: a source, a route, a handler, and a secret of its own. */
export function projectFiles(): TemplateFile[] {
  const note = "# Read by weir beside routes.yaml; the environment wins over it.";
  return [
    { path: "routes.yaml", text: routes },
    { path: "plugins/hello.ts", text: hello },
    {
      path: ".env.example",
      text: `${note} Copy it to .env and fill it in: \`weir secret\` makes a value.\nHELLO_SECRET=\n`,
    },
    { path: ".env", text: `${note} Not for the repository.\nHELLO_SECRET=${makeSecret()}\n`, secret: true },
    { path: ".gitignore", text: `.env\n${adminTokenFile}*\n*.db\n*.db-*\n` },
  ];
}
