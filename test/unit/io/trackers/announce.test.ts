import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PEERS_PER_RESPONSE_MAX_COUNT, peersOf, printable, wholeEntries } from '../../../../src/io/trackers/announce.js';

test('compact peers are read, IPv4 before IPv6, what is cut off left out', () => {
  const peers = Buffer.from('c00002071ae1' + '0a', 'hex');
  const peers6 = Buffer.from(`20010db8${'00'.repeat(11)}01c8d5`, 'hex');
  assert.equal([...peersOf({ peers, peers6 })], ['192.0.2.7:6881', '[2001:db8::1]:51413']);
});

test('no more entries are taken than the limit, and whole ones only', () => {
  assert.is(wholeEntries(new Uint8Array(6 * 1_000 + 3), 6).length, 6 * PEERS_PER_RESPONSE_MAX_COUNT);
  assert.is(wholeEntries(new Uint8Array(35), 18).length, 18);
});

test('words of a tracker are one short line that moves no cursor', () => {
  assert.is(printable('a\u001b[2Jb\nc'), 'a [2Jb c');
  assert.is(printable('x'.repeat(1_000)).length, 200);
});

test.run();
