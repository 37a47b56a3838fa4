import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isToken, makeToken } from '../../../../src/io/web/access-token.js';

const key = Uint8Array.from({ length: 32 }, (_, index) => index);

test('a token opens its own name with its own key, and nothing else', () => {
  const token = makeToken(key, 'a');
  assert.match(token, /^[\w-]{22}$/);
  assert.is(isToken(key, 'a', token), true);
  for (const [otherKey, name, given] of [
    [key, 'b', token],
    [new Uint8Array(32), 'a', token],
    [key, 'a', ''],
    [key, 'a', `${token}x`],
    [key, 'a', 'ä'.repeat(11)],
  ] as const)
    assert.is(isToken(otherKey, name, given), false);
});

test.run();
