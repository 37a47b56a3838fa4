/** DHT messages under mutation: what is handed on is canonical, holds known fields of their right length only, and is bounded; all else is refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rewriteDhtMessage } from '../../src/io/peers/dht-message.js';
import { decodeBencode } from '../../src/kernel/bencode.js';
import { Malformed } from '../../src/kernel/errors.js';
import { forMutants } from '../support/mutation.js';

test('mutated messages are rewritten to what stays itself when rewritten again, or refused', () => {
  let acceptedCount = 0;
  forMutants('dht-message', 18, 600, (mutant) => {
    const message = rewriteDhtMessage(mutant);
    if (message instanceof Malformed) return;
    acceptedCount++;
    const again = rewriteDhtMessage(message.bytes);
    assert.not.instance(again, Malformed);
    assert.equal(again, message);
    const fields = decodeBencode(message.bytes);
    assert.ok(fields instanceof Map);
    for (const key of fields.keys()) assert.ok(['a', 'e', 'q', 'r', 't', 'y'].includes(String(key)), String(key));
    const body: unknown = fields.get('a') ?? fields.get('r');
    for (const key of ['id', 'target', 'info_hash']) {
      const value: unknown = body instanceof Map ? body.get(key) : undefined;
      if (value !== undefined) assert.ok(value instanceof Uint8Array && value.length === 20, key);
    }
  });
  assert.ok(acceptedCount > 0);
});

test.run();
