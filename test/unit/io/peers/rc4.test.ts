/** RC4 against the published key streams, from byte 1024 on, which is where BitTorrent begins. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rc4 } from '../../../../src/io/peers/rc4.js';
import { hex } from '../../../support/swarm-fixture.js';

test('the key stream is that of RFC 6229 at offset 1024', () => {
  const stream = new Uint8Array(16);
  new Rc4(Uint8Array.of(1, 2, 3, 4, 5)).apply(stream);
  assert.is(hex(stream), '30abbcc7c20b01609f23ee2d5f6bb7df');
});

test('two ciphers of one key undo each other however the bytes are cut', () => {
  const key = Uint8Array.from({ length: 20 }, (_, i) => i * 7);
  const [there, back] = [new Rc4(key), new Rc4(key)];
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);
  there.apply(bytes.subarray(0, 1));
  there.apply(bytes.subarray(1, 700));
  there.apply(bytes.subarray(700));
  back.apply(bytes);
  assert.is(hex(bytes), hex(Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff)));
});

test.run();
