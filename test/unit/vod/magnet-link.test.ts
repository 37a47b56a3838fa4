/** Magnet links as people paste them, and as they are written. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { formatMagnet, type MagnetLink, parseMagnet } from '../../../src/vod/magnet-link.js';

const HASH = '0123456789abcdef0123456789abcdef01234567';
const XT = `magnet:?xt=urn:btih:${HASH}`;

function read(text: string): MagnetLink {
  const link = parseMagnet(text);
  if (link instanceof Malformed) throw new Error(link.reason);
  return link;
}

test('a hash is read in hexadecimal and base32, in any case', () => {
  assert.is(read(XT).infoHash, HASH);
  assert.is(read(`  <MAGNET:?XT=URN:BTIH:${HASH.toUpperCase()}>\n`).infoHash, HASH);
  assert.is(read('magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH').infoHash, HASH);
  assert.is(read(`magnet:?xt=urn%3Abtih%3A${HASH}`).infoHash, HASH);
  assert.is(read(`magnet:?xt.1=urn:btmh:1220aa&xt.2=urn:btih:${HASH}`).infoHash, HASH);
});

test('name, trackers, seeds and peers are read; what can not be used is left out', () => {
  const link = read(
    `${XT}&dn=A+b%20%e2%80%aec&xl=5&tr=udp%3A%2F%2Ft.example%3A1&tr.1=http://u.example/a%3Fk%3D1&tr=junk&ws=http://w.example/f%2520g&as=http://v.example/` +
      '&x.pe=192.0.2.1:5&x.pe=[2001:db8::1]:6&x.pe=%5B2001:db8::2%5D%3A7&x.pe=peer.example:8&x.pe=1.2.3.4:0&x.pe=1.2.3.4:99999&x.pe=::1&kt=x',
  );
  assert.equal(link, {
    infoHash: HASH,
    name: 'A b c',
    trackers: ['udp://t.example:1', 'http://u.example/a?k=1'],
    webSeeds: ['http://w.example/f%20g', 'http://v.example/'],
    peers: [
      { host: '192.0.2.1', port: 5 },
      { host: '2001:db8::1', port: 6 },
      { host: '2001:db8::2', port: 7 },
      { host: 'peer.example', port: 8 },
    ],
    selectOnly: undefined,
  });
});

test('chosen files are indices and ranges, merged and in order', () => {
  const chosen = (text: string) => read(`${XT}&so=${text}`).selectOnly;
  assert.equal(chosen('0,2,4-7'), [0, 2, 4, 5, 6, 7]);
  assert.equal(chosen('5,1-3,2-6'), [1, 2, 3, 4, 5, 6]);
  assert.equal(chosen('7-4,x,-1,1.5'), undefined);
  assert.equal(chosen('999999999'), undefined);
  assert.is(chosen(new Array(2000).fill('0-999999999').join(','))?.length, 100_000);
});

test('every list is bounded', () => {
  const many = (key: string, value: (index: number) => string) =>
    Array.from({ length: 300 }, (_, index) => `&${key}=${value(index)}`).join('');
  const link = read(
    XT + many('tr', (i) => `http://t${i}.example/`) + many('ws', (i) => `http://w${i}.example/`) + many('x.pe', (i) => `p${i}.example:1`),
  );
  assert.equal([link.trackers.length, link.webSeeds.length, link.peers.length], [64, 32, 64]);
});

test('old escapes are taken as they are meant or as they stand', () => {
  assert.is(read(`${XT}&dn=100%&x=%zz`).name, '100%');
  assert.is(read(`${XT}&dn=caf%E9`).name, 'caf\ufffd');
});

const REFUSED: readonly (readonly [text: string, reason: RegExp])[] = [
  ['', /empty/],
  ['http://x.example/', /starts with "http:/],
  ['magnet:', /no "\?"/],
  ['magnet:?', /no "xt"/],
  ['magnet:?dn=x', /no "xt"; expected magnet:\?xt=urn:btih/],
  ['magnet:?xt=urn:btih:', /"" has 0 characters; expected 40 hex/],
  [`magnet:?xt=urn:btih:${HASH.slice(1)}`, /has 39 characters/],
  [`magnet:?xt=urn:btih:${HASH.slice(1)}g`, /expected 40 hex digits \(0-9, a-f\) or 32 of base32/],
  ['magnet:?xt=urn:btih:0189aaaaaaaaaaaaaaaaaaaaaaaaaaaa', /32 of base32/],
  ['magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e', /version 2 hash only/],
  ['magnet:?xt=urn:ed2k:abc', /"xt" is "urn:ed2k:abc"/],
  [`magnet:?xt=urn:btih:${HASH}${'&'.repeat(2000)}`, /2001 parameters/],
  [`magnet:?dn=${'x'.repeat(40_000)}`, /at most 32768 are read/],
];

test('links that name no title are refused with words', () => {
  for (const [text, reason] of REFUSED) {
    const link = parseMagnet(text);
    assert.match(link instanceof Malformed ? link.reason : 'accepted', reason);
  }
});

test('a link is written so that it is read the same', () => {
  const link: MagnetLink = {
    infoHash: HASH,
    name: 'a & b = "ü"',
    trackers: ['udp://t.example:1/a', 'http://u.example/?k=1&l=2'],
    webSeeds: ['http://w.example/a%20b'],
    peers: [
      { host: '2001:db8::1', port: 6 },
      { host: '192.0.2.1', port: 5 },
    ],
    selectOnly: [0, 2, 3, 4, 9],
  };
  assert.equal(read(formatMagnet(link)), link);
  assert.match(formatMagnet(link), /&x\.pe=\[2001:db8::1\]:6&x\.pe=192\.0\.2\.1:5&so=0,2-4,9$/);
});

test.run();
