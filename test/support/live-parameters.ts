/** The live exchange's parameters as shipped, for tests that vary one of them. */
import { fileURLToPath } from 'node:url';
import { readConfigFile } from '../../src/io/files/config-file.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { BUFFER_BYTES, GIVE_UP_MS, type LiveParameters, SILENT_MS } from '../../src/relay/exchange/live-parameters.js';

const DEFAULTS_PATH = fileURLToPath(new URL('../../../config/default.json5', import.meta.url));
const { live, swarm } = resolveConfig({ defaults: readConfigFile(DEFAULTS_PATH) }).config;

export const LIVE_PARAMETERS: LiveParameters = {
  ...live,
  targetNeighbours: swarm.targetConnections,
  bufferBytes: BUFFER_BYTES,
  silentMs: SILENT_MS,
  giveUpMs: GIVE_UP_MS,
};
