/** The extended handshake is reduced to the fields we know, whatever else it carries. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeExtendedHandshake, type ExtendedHandshake, encodeExtendedHandshake } from '../../../../src/io/peers/extended-handshake.js';
import { encodeBencode } from '../../../../src/kernel/bencode.js';
import { Malformed } from '../../../../src/kernel/errors.js';

function decode(bytes: Uint8Array): ExtendedHandshake {
  const decoded = decodeExtendedHandshake(bytes);
  if (decoded instanceof Malformed) throw new Error(decoded.reason);
  return decoded;
}

test('what is written is read again', () => {
  const handshake: ExtendedHandshake = {
    extensions: new Map([
      ['shoal_live', 1],
      ['ut_pex', 0],
    ]),
    listenPort: 6881,
    client: 'Shoal 0.1.0',
    metadataSizeBytes: 300,
    requestQueueCount: 250,
    publisher: true,
  };
  assert.equal(decode(encodeExtendedHandshake(handshake)), handshake);
});

test('fields of a wrong type or range count as absent', () => {
  const bytes = encodeBencode({ m: { a: 256, b: -1, c: 'x', d: 5 }, p: 65_536, v: 7, reqq: -1, metadata_size: 0, shoal_publisher: 'yes' });
  assert.equal(decode(bytes), { extensions: new Map([['d', 5]]), publisher: false });
  assert.equal(decode(encodeBencode({ m: [] })).extensions.size, 0);
});

test('names that are no extension names are dropped, and too many as well', () => {
  const names = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x${i}`, 1]));
  assert.is(decode(encodeBencode({ m: names })).extensions.size, 64);
  const hostile = new Map([
    ['__proto__', 1],
    ['', 2],
    ['a b', 3],
    ['x'.repeat(65), 4],
    ['ok', 5],
  ]);
  assert.equal([...decode(encodeBencode({ m: hostile })).extensions], [['ok', 5]]);
});

test('the client name is printable and short', () => {
  assert.is(decode(encodeBencode({ v: `\u001b[31mEvil\n<b>${'x'.repeat(100)}` })).client, `[31mEvil<b>${'x'.repeat(53)}`);
  assert.is(decode(encodeBencode({ v: '\u0000' })).client, undefined);
});

test('what is no dictionary, too long or too deep is malformed', () => {
  for (const bytes of ['le', 'i1e', '', 'd', 'l-3:e', 'l'.repeat(100), `d1:v20000:${'x'.repeat(20_000)}e`]) {
    assert.instance(decodeExtendedHandshake(Buffer.from(bytes)), Malformed, bytes.slice(0, 20));
  }
});

test.run();
