/**
 * Suites for the authors of plugins: what Weir relies on, as tests that run against any implementation. Import them in a
 * test file and hand them your plugin.
 */

export { acceptedOf, bindScheme, conformProvider, type ProviderCase, reasonOf, received } from "./provider.ts";
export { type Behaviour, conformRunner, type PreparedRunner, type RunnerCase, sampleAttempt } from "./runner.ts";
