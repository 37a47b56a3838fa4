import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../support/free-port.js';

test('a port is given to one asker only, however long it takes to bind it', async () => {
  const ports: number[] = [];
  // By chance alone two of so many would be the same.
  for (let count = 0; count < 500; count++) ports.push(await freePort());
  assert.is(new Set(ports).size, ports.length);
});

test.run();
