/**
 * Suites for the authors of plugins: what Weir relies on, as tests that run against any implementation. Import them in a
 * test file and hand them your plugin.
 */

export { bindScheme, conformProvider, type ProviderCase, received } from "./provider.ts";
