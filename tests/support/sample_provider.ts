/**
 * Providers for tests that are about something else than providers: they keep every rule of the interface and prove
 * nothing.
 */

import { type Provider, secretBytesMin, verified } from "../../core/domain/provider.ts";

/** A provider whose requests carry their secret; `options.header` must be text where it is given. */
export function sampleProvider(name: string, differs: Partial<Provider> = {}): Provider {
  return {
    name,
    summary: "For tests.",
    signatureHeaders: ["x-sample"],
    secret: "required",
    secretBytesMin,
    signsId: false,
    contentTypes: ["application/json"],
    bind({ secrets, options }) {
      if (options.header !== undefined && typeof options.header !== "string") {
        return { ok: false, issues: [{ path: ["options", "header"], message: "expected the name of a header" }] };
      }
      const odd = secrets.findIndex((secret) => secret.includes("odd"));
      if (odd !== -1) {
        return { ok: false, issues: [{ path: ["secret", odd], message: `is odd: ${secrets[odd]}` }] };
      }
      return {
        ok: true,
        scheme: {
          verify: (request) => verified(request),
          describe: (_request, body) => [{ type: "sample", body }],
          sign: ({ method, url, headers, body }) => ({ method, url, headers, body }),
        },
      };
    },
    ...differs,
  };
}

/** Enough of them for a routes.yaml. */
export const sampleProviders: readonly Provider[] = [
  sampleProvider("github"),
  sampleProvider("stripe"),
  sampleProvider("hmac"),
  sampleProvider("none", { secret: "forbidden" }),
  sampleProvider("signer", { signsId: true }),
];
