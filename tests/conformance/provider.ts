/**
 * What every provider has to keep, whoever wrote it: `sign` and `verify` prove each other, and nothing else gets through.
 * A plugin author calls {@link conformProvider} in a test file; it registers one test per promise.
 */

import { assert, assertEquals, AssertionError } from "@std/assert";
import fc from "fast-check";
import type {
  DescribedEvent,
  Draft,
  IncomingRequest,
  Provider,
  Scheme,
  SchemeSettings,
  SignedRequest,
  Verification,
  VerifiedRequest,
} from "../../core/plugin.ts";
import { parseBody } from "../../core/plugin.ts";

/** How a provider is to be exercised. */
export interface ProviderCase {
  /** Said after the provider's name, where one provider has several cases. */
  readonly title?: string;
  /** Settings that bind, with the one secret that signs. */
  readonly settings: SchemeSettings;
  /** Another secret of the right form; without one the provider is taken to prove nothing (`none`). */
  readonly otherSecret?: string;
  /** What is signed; the rest is filled in. */
  readonly draft?: Partial<Draft>;
  /** Headers beside the signature that the proof covers, such as the timestamp's. */
  readonly signedHeaders?: readonly string[];
  /** The tolerance that holds with these settings, where the sender signs a timestamp. */
  readonly toleranceMs?: number;
  /**
   * What the proof covers of the body: its bytes, the fields of a form (two spellings of one form are then one), or
   * nothing (a shared token). The default is its bytes.
   */
  readonly covers?: "bytes" | "fields" | "nothing";
  /** What the signed draft is described as; only what is stated is compared. */
  readonly describes?: readonly Partial<DescribedEvent>[];
  /** Random secrets of the right form, for the property. */
  readonly secrets?: fc.Arbitrary<string>;
}

const now = Date.UTC(2026, 0, 15, 12, 0, 0);

const proofRuns = 200;

/**
 * Registers the conformance tests of one provider.
 *
 * @param provider the value that is exported by the plugin
 * @param checked settings, a draft and what is known of the scheme
 */
export function conformProvider(provider: Provider, checked: ProviderCase): void {
  const name = [provider.name, checked.title].filter((part) => part !== undefined).join(" ");
  const { settings } = checked;
  const scheme = (): Scheme => bindScheme(provider, settings);
  const signed = () => Promise.resolve(scheme().sign(draftOf(provider, checked.draft), { now }));

  Deno.test(`${name}: accepts what it signs and describes it`, async () => {
    const request = await signed();
    const verified = acceptedOf(await scheme().verify(received(request), { now }));
    const body = parseBody(request.body, request.headers["content-type"]);
    const events = scheme().describe(verified, body.ok ? body.value : null);
    for (const event of events) assert(event.type !== "", "a type is never empty");
    for (const [index, expected] of (checked.describes ?? []).entries()) {
      assertEquals({ ...events[index], ...expected }, events[index]);
    }
    assertEquals(events.length, checked.describes?.length ?? 1);
  });

  Deno.test(`${name}: describes any body without throwing`, async () => {
    const verified = acceptedOf(await scheme().verify(received(await signed()), { now }));
    fc.assert(fc.property(fc.oneof(fc.anything(), fc.jsonValue()), (body) => {
      const events = scheme().describe(verified, body);
      assert(Array.isArray(body) || events.length > 0, "a request that is no batch carries an event");
      for (const event of events) assert(typeof event.type === "string" && event.type !== "");
      scheme().handshake?.(verified, body);
      scheme().accepted?.(verified);
    }));
  });

  Deno.test(`${name}: states header names in lower case`, () => {
    for (const header of proofHeadersOf(provider, scheme())) assertEquals(header, header.toLowerCase());
  });

  Deno.test(`${name}: refuses settings that it does not understand`, () => {
    const strange = provider.bind({ ...settings, options: { ...settings.options, no_such_option: "x" } });
    assert(!strange.ok && strange.issues.some(({ path }) => path.join(".") === "options.no_such_option"));
    if (checked.otherSecret === undefined) return;
    for (const secrets of [[], [""], [settings.secrets[0]!, ""]]) {
      const bound = provider.bind({ ...settings, secrets });
      if (bound.ok) throw new AssertionError(`binds with ${secrets.length} secrets, none or one of them empty`);
      for (const { message } of bound.issues) assertNoSecret(message, settings.secrets);
    }
  });

  Deno.test(`${name}: verify never throws and never accepts garbage`, async () => {
    const bound = scheme();
    const headers = [...proofHeadersOf(provider, bound), ...(checked.signedHeaders ?? []), "content-type"];
    const template = await signed();
    const values = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      ...headers.map((header) => fc.constant(template.headers[header] ?? "")),
    );
    const garbage = fc.dictionary(fc.constantFrom(...headers), values);
    await fc.assert(fc.asyncProperty(garbage, fc.string(), fc.uint8Array(), async (headers, url, body) => {
      const verification = await bound.verify({ method: "POST", url, headers, body, receivedAt: now }, { now });
      if (checked.otherSecret === undefined || checked.covers === "nothing") return;
      assert(!verification.ok, "accepts garbage");
    }));
  });

  if (checked.otherSecret !== undefined) conformProof(name, provider, { ...checked, otherSecret: checked.otherSecret });
}

/** The part that holds only for providers that prove something. */
function conformProof(name: string, provider: Provider, checked: ProviderCase & { otherSecret: string }): void {
  const { settings, otherSecret } = checked;
  const scheme = (): Scheme => bindScheme(provider, settings);
  const signed = () => Promise.resolve(scheme().sign(draftOf(provider, checked.draft), { now }));

  /** Holds one altered request against the scheme; whatever is said about it must not help to forge the next one. */
  async function assertRefused(altered: SignedRequest, original: SignedRequest, what: string): Promise<void> {
    const reason = reasonOf(await scheme().verify(received(altered), { now }), what);
    for (const header of proofHeadersOf(provider, scheme())) {
      assertNoProof(reason, original.headers[header]);
    }
    assertNoSecret(reason, settings.secrets);
  }

  Deno.test(`${name}: refuses a request with any bit of its body flipped`, async () => {
    if (checked.covers === "nothing") return;
    const original = await signed();
    for (let bit = 0; bit < original.body.length * 8; bit++) {
      const altered = { ...original, body: flipBit(original.body, bit) };
      if (checked.covers === "fields" && hasSameFields(original, altered)) continue;
      await assertRefused(altered, original, `a body with bit ${bit} flipped`);
    }
  });

  Deno.test(`${name}: refuses a proof with any bit flipped`, async () => {
    const original = await signed();
    for (const header of [...carriedProof(provider, scheme(), original), ...(checked.signedHeaders ?? [])]) {
      const value = original.headers[header]!;
      for (let bit = 0; bit < value.length * 8; bit++) {
        const altered = withHeader(original, header, flipTextBit(value, bit));
        await assertRefused(altered, original, `${header} with bit ${bit} flipped`);
      }
    }
  });

  Deno.test(`${name}: refuses a proof that is missing, empty, truncated, padded or sent twice`, async () => {
    const original = await signed();
    for (const header of carriedProof(provider, scheme(), original)) {
      const value = original.headers[header]!;
      const { [header]: _, ...others } = original.headers;
      await assertRefused({ ...original, headers: others }, original, `a request without ${header}`);
      for (let length = 0; length < value.length; length++) {
        await assertRefused(
          withHeader(original, header, value.slice(0, length)),
          original,
          `${header} cut to ${length}`,
        );
      }
      for (
        const longer of [`${value}, ${value}`, `${value},${value}`, `${value}A`, `${value}=`, `${value} `, ` ${value}`]
      ) {
        await assertRefused(withHeader(original, header, longer), original, `${header} made longer`);
      }
    }
  });

  Deno.test(`${name}: refuses what another secret signed`, async () => {
    const original = await signed();
    const other = bindScheme(provider, { ...settings, secrets: [otherSecret] });
    const reason = reasonOf(await other.verify(received(original), { now }), "a request of another secret");
    assertNoSecret(reason, [otherSecret]);
  });

  Deno.test(`${name}: accepts any of several secrets`, async () => {
    const original = await signed();
    for (const secrets of [[...settings.secrets, otherSecret], [otherSecret, ...settings.secrets]]) {
      acceptedOf(await bindScheme(provider, { ...settings, secrets }).verify(received(original), { now }));
    }
  });

  Deno.test(`${name}: does not change the request that it verifies`, async () => {
    const original = received(await signed());
    const copy = structuredClone(original);
    await scheme().verify(original, { now });
    assertEquals(original, copy);
  });

  const { toleranceMs } = checked;
  if (toleranceMs !== undefined) {
    Deno.test(`${name}: holds the timestamp against the clock in both directions`, async () => {
      const original = await signed();
      for (
        const [skewMs, fresh] of [[1 - toleranceMs, true], [toleranceMs, true], [-toleranceMs - 1_000, false], [
          toleranceMs + 1_000,
          false,
        ]] as const
      ) {
        const verification = await scheme().verify(received(original), { now: now + skewMs });
        assertEquals(verification.ok, fresh, `a clock that is off by ${skewMs} ms`);
      }
    });
  }

  Deno.test(`${name}: accepts what it signs, and nothing that differs in one bit`, async () => {
    const bit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const skew = fc.integer({ min: 0, max: Math.max(0, (toleranceMs ?? 0) - 1_000) });
    const secrets = checked.secrets ?? fc.constant(settings.secrets[0]!);
    const bodies = fc.uint8Array({ maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(secrets, bodies, skew, bit, fc.nat(), async (secret, body, skewMs, at, place) => {
        const bound = bindScheme(provider, { ...settings, secrets: [secret] });
        const original = await bound.sign(draftOf(provider, { ...checked.draft, body }), { now });
        acceptedOf(await bound.verify(received(original), { now: now + skewMs }));
        const headers = [...carriedProof(provider, bound, original), ...(checked.signedHeaders ?? [])];
        const header = headers[place % (headers.length + 1)];
        const altered = header === undefined
          ? { ...original, body: flipBit(original.body, Math.floor(at * original.body.length * 8)) }
          : withHeader(
            original,
            header,
            flipTextBit(original.headers[header]!, Math.floor(at * original.headers[header]!.length * 8)),
          );
        if (header === undefined && (body.length === 0 || checked.covers === "nothing")) return;
        if (header === undefined && checked.covers === "fields" && hasSameFields(original, altered)) return;
        assert(
          !(await bound.verify(received(altered), { now: now + skewMs })).ok,
          `accepts another ${header ?? "body"}`,
        );
      }),
      { numRuns: proofRuns },
    );
  });
}

/**
 * Binds a provider for a test.
 *
 * @throws TypeError that lists the issues when the settings do not bind
 */
export function bindScheme(provider: Provider, settings: SchemeSettings): Scheme {
  const bound = provider.bind(settings);
  if (bound.ok) return bound.scheme;
  const issues = bound.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new TypeError(`${provider.name} does not bind: ${issues.join("; ")}`);
}

/** A signed request as the ingress would hand it to `verify`. */
export function received(request: SignedRequest): IncomingRequest {
  return { ...request, receivedAt: now };
}

/** The verified request, or the test fails with the reason. */
export function acceptedOf(verification: Verification): VerifiedRequest {
  if (verification.ok) return verification.request;
  throw new AssertionError(`refused: ${verification.reason}`);
}

/** The reason of a refusal, or the test fails. */
export function reasonOf(verification: Verification, what: string): string {
  if (!verification.ok) return verification.reason;
  throw new AssertionError(`accepts ${what}`);
}

function draftOf(provider: Provider, draft: Partial<Draft> = {}): Draft {
  const contentType = provider.contentTypes[0];
  return {
    method: "POST",
    url: "https://hooks.example.com/hooks/conformance?shop=1",
    headers: contentType === undefined ? {} : { "content-type": contentType },
    body: new TextEncoder().encode('{"id":"evt_1","type":"thing.happened","data":{"amount":12}}'),
    id: "evt_1",
    type: "thing.happened",
    ...draft,
  };
}

function proofHeadersOf(provider: Provider, scheme: Scheme): readonly string[] {
  return [...provider.signatureHeaders, ...(scheme.signatureHeaders ?? [])];
}

function carriedProof(provider: Provider, scheme: Scheme, request: SignedRequest): readonly string[] {
  const carried = [...new Set(proofHeadersOf(provider, scheme))].filter((header) => header in request.headers);
  assert(carried.length > 0, "sign puts a proof into one of the signature headers");
  return carried;
}

function withHeader(request: SignedRequest, header: string, value: string): SignedRequest {
  return { ...request, headers: { ...request.headers, [header]: value } };
}

function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = bytes.slice();
  if (flipped.length > 0) flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

function flipTextBit(text: string, bit: number): string {
  const index = bit >> 3;
  return text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ (1 << (bit & 7))) + text.slice(index + 1);
}

function hasSameFields(a: SignedRequest, b: SignedRequest): boolean {
  const [before, after] = [a, b].map(({ body }) => [...new URLSearchParams(new TextDecoder().decode(body))].sort());
  return JSON.stringify(before) === JSON.stringify(after);
}

/** No run of the true proof that is long enough to help anybody. */
function assertNoProof(reason: string, proof: string | undefined): void {
  for (const [run] of (proof ?? "").matchAll(/[A-Za-z0-9+/]{16,}/g)) {
    assert(!reason.includes(run.slice(0, 16)), "the reason repeats the expected proof");
  }
}

function assertNoSecret(text: string, secrets: readonly string[]): void {
  for (const secret of secrets) assert(secret === "" || !text.includes(secret), "a message repeats a secret");
}
