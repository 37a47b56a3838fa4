import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Announce } from '../../../../src/io/trackers/announce.js';
import { decodeUdpAnswer, encodeAnnounce, encodeConnect } from '../../../../src/io/trackers/udp-announce.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { ANNOUNCE } from '../../../support/announce-fixture.js';

const CONNECTION = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('the first word is that of BEP 15', () => {
  assert.is(hex(encodeConnect(0x0102_0304)), '00000417271019800000000001020304');
});

test('an announce has every field in its place', () => {
  const bytes = encodeAnnounce(CONNECTION, 0x0102_0304, ANNOUNCE, '/announce');
  const expected = [
    '0102030405060708',
    '00000001',
    '01020304',
    'aa'.repeat(20),
    'bb'.repeat(20),
    '000000012a05f200',
    '0000000000000007',
    '0000000000000003',
    '00000002',
    '00000000',
    '89abcdef',
    '00000032',
    '1ae1',
  ];
  assert.is(hex(bytes), expected.join(''));
  const event = (name: Announce['event']): number =>
    Buffer.from(encodeAnnounce(CONNECTION, 1, { ...ANNOUNCE, event: name }, '')).readUInt32BE(80);
  assert.equal(
    [undefined, 'completed', 'started', 'stopped'].map((name) => event(name as Announce['event'])),
    [0, 1, 2, 3],
  );
});

test('what stands behind the host travels too, in parts, and not without end', () => {
  const optionsOf = (path: string): string => Buffer.from(encodeAnnounce(CONNECTION, 1, ANNOUNCE, path).subarray(98)).toString('latin1');
  assert.is(optionsOf('/5ecret/announce?x=1'), '\x02\x14/5ecret/announce?x=1');
  assert.is(optionsOf(`/${'k'.repeat(299)}`), `\x02\xff/${'k'.repeat(254)}\x02\x2d${'k'.repeat(45)}`);
  assert.is(optionsOf('k'.repeat(5_000)).length, 4 * 257);
});

test('peers are read as the tracker was asked: over IPv4, or over IPv6', () => {
  const head = Buffer.from('00000001' + '01020304' + '00000708' + '00000000' + '00000001', 'hex');
  const four = decodeUdpAnswer(Buffer.concat([head, Buffer.from('c00002071ae1' + '0102', 'hex')]), 0x0102_0304, false);
  assert.equal(four, { kind: 'answer', response: { intervalS: 1800, peers: Buffer.from('c00002071ae1', 'hex') } });
  const entry = Buffer.from(`20010db8${'00'.repeat(11)}011ae1`, 'hex');
  const six = decodeUdpAnswer(Buffer.concat([head, entry]), 0x0102_0304, true);
  assert.equal(six, { kind: 'answer', response: { intervalS: 1800, peers: new Uint8Array(0), peers6: entry } });
});

test('an answer to something else is passed over, what is none is refused', () => {
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');
  assert.is(decodeUdpAnswer(bytes(`0000000001020305${'00'.repeat(8)}`), 0x0102_0304, false), undefined);
  assert.is(decodeUdpAnswer(bytes('000000'), 0, false), undefined);
  assert.ok(decodeUdpAnswer(bytes('000000000102030400'), 0x0102_0304, false) instanceof Malformed);
  assert.ok(decodeUdpAnswer(bytes('00000002' + '01020304'), 0x0102_0304, false) instanceof Malformed);
  assert.ok(decodeUdpAnswer(bytes('00000001' + '01020304' + '00000001'), 0x0102_0304, false) instanceof Malformed);
  assert.equal(decodeUdpAnswer(bytes(`0000000301020304${hex(Buffer.from('no'))}`), 0x0102_0304, false), { kind: 'refusal', reason: 'no' });
});

test.run();
