import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFile } from '../../../src/io/files/config-file.js';
import { resolveConfig } from '../../../src/plugins/config.js';
import { exchangeParameters } from '../../../src/plugins/exchange-parameters.js';

const defaults = readConfigFile(fileURLToPath(new URL('../../../../config/default.json5', import.meta.url)));

test('what the configuration says of the exchange is what the exchange is given', () => {
  const { config } = resolveConfig({ defaults, settings: ['live.hedge=3', 'swarm.targetConnections=5', 'live.mode=robust'] });
  const { hedge, targetNeighbours, startLagMs, ...rest } = exchangeParameters(config);
  assert.equal([hedge, targetNeighbours, startLagMs], [3, 5, 4_000]);
  assert.ok(Object.values(rest).every((value) => typeof value === 'number'));
});

test('all other holders may be asked when a request is late', () => {
  assert.is(exchangeParameters(resolveConfig({ defaults, settings: ['live.hedge=all'] }).config).hedge, Number.POSITIVE_INFINITY);
});

test('some of all connections stay free for those who come to be told of others', () => {
  const limitsOf = (maxConnections: number): readonly number[] => {
    const { maxNeighbours, maxViewers } = exchangeParameters(
      resolveConfig({ defaults, settings: [`swarm.maxConnections=${maxConnections}`, 'live.maxNeighbours=12', 'live.maxViewers=16'] })
        .config,
    );
    return [maxNeighbours, maxViewers];
  };
  assert.equal([40, 18, 10, 1].map(limitsOf), [
    [12, 16],
    [12, 14],
    [6, 6],
    [1, 1],
  ]);
});

test.run();
