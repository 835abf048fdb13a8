/**
 * The second door: everything that the author of a plugin may import. A provider is a value of type {@link Provider};
 * a handler kind is a {@link Runner}.
 */

export type { Clock, Random } from "./domain/clock.ts";
export type { HeaderMap, IncomingRequest } from "./domain/event.ts";
export type { Event } from "./domain/event.ts";
export type {
  Answer,
  DescribedEvent,
  Draft,
  Provider,
  Scheme,
  SchemeIssue,
  SchemeSettings,
  SignedRequest,
  Verification,
  VerifiedRequest,
} from "./domain/provider.ts";
export { refused, secretBytesMin, verified } from "./domain/provider.ts";
export type {
  Attempt,
  Handler,
  HandlerContext,
  HandlerEvent,
  Permissions,
  Runner,
  RunnerFactories,
  RunnerHost,
  ScriptSpec,
  TargetSpec,
} from "./domain/handler.ts";
export type { AttemptReport, Outcome } from "./domain/outcome.ts";
export { shortReason } from "./domain/outcome.ts";
export { isJson, mediaType, parseBody, parseJson, parseJsonText } from "./domain/body.ts";
export { formatDuration, parseDuration } from "./domain/duration.ts";
export { parseRetryAfter } from "./domain/retry.ts";
export { describeError } from "./domain/error.ts";
export {
  askedOutcome,
  Rejection,
  resultLengthMax,
  resultText,
  RetryLater,
  toHandlerEvent,
} from "./domain/handler_call.ts";
