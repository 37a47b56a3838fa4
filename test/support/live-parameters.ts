/** The live exchange's parameters as shipped, for tests that vary one of them. */
import { fileURLToPath } from 'node:url';
import { readConfigFile } from '../../src/io/files/config-file.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { exchangeParameters } from '../../src/plugins/exchange-parameters.js';
import type { LiveParameters } from '../../src/relay/exchange/live-parameters.js';

const DEFAULTS_PATH = fileURLToPath(new URL('../../../config/default.json5', import.meta.url));

export const LIVE_PARAMETERS: LiveParameters = exchangeParameters(resolveConfig({ defaults: readConfigFile(DEFAULTS_PATH) }).config);

/** A publisher tells everybody of everything after twelve times `revealMs`: whoever depends on that alone is so far behind the cut, and the way there more. */
export const LAG_WINDOWS_MAX = Math.ceil((12 * LIVE_PARAMETERS.revealMs + 1_000) / LIVE_PARAMETERS.windowMs);
