import { createHmac, timingSafeEqual } from "node:crypto";
import { type Provider, refused, verified } from "weir/plugin";

/** A sender that puts the hex HMAC-SHA256 of the body into one header. */
export const acme: Provider = {
  name: "acme",
  summary: "Acme: HMAC-SHA256 of the body in X-Acme-Signature",
  signatureHeaders: ["x-acme-signature"],
  secret: "required",
  signsId: false,
  contentTypes: ["application/json"],
  bind({ secrets }) {
    const digest = (secret: string, body: Uint8Array) => createHmac("sha256", secret).update(body).digest();
    return {
      ok: true,
      scheme: {
        verify(request) {
          const given = request.headers["x-acme-signature"] ?? "";
          if (!/^[0-9a-f]{64}$/.test(given)) return refused("X-Acme-Signature is missing or is not 64 hex digits");
          const proof = Uint8Array.from(given.match(/../g)!, (byte) => parseInt(byte, 16));
          const holds = secrets.map((secret) => timingSafeEqual(digest(secret, request.body), proof)).includes(true);
          return holds ? verified(request) : refused("the signature does not match");
        },
        describe: (request, body) => [{
          id: request.headers["x-acme-id"],
          type: (body as { event?: string } | null)?.event ?? "unknown",
          body,
        }],
        sign: (draft) => ({
          ...draft,
          headers: {
            ...draft.headers,
            "x-acme-id": draft.id,
            "x-acme-signature": digest(secrets[0]!, draft.body).toString("hex"),
          },
        }),
      },
    };
  },
};
