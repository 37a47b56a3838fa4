/** Channel links: both written forms, every form that is read, and what a person is told about the rest. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChannelLink, formatMagnet, formatShoalLink, parseLink } from '../../../src/ingest/channel-link.js';
import { Malformed } from '../../../src/kernel/errors.js';

const ID = '0123456789abcdef0123456789abcdef01234567';
const LINK: ChannelLink = {
  id: ID,
  name: 'Test card & tone',
  trackers: ['http://tracker.example:8000/announce', 'udp://tracker.example:8000'],
  peers: ['192.0.2.1:6881', '[2001:db8::1]:6881'],
};
const MAGNET =
  `magnet:?xt=urn:btih:${ID}&dn=Test%20card%20%26%20tone&tr=http%3A%2F%2Ftracker.example%3A8000%2Fannounce` +
  '&tr=udp%3A%2F%2Ftracker.example%3A8000&x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:6881';

const parsed = (text: string): ChannelLink => {
  const link = parseLink(text);
  assert.not.instance(link, Malformed, link instanceof Malformed ? link.reason : undefined);
  return link as ChannelLink;
};

test('both forms are written as documented and read back', () => {
  assert.is(formatMagnet(LINK), MAGNET);
  assert.is(formatShoalLink(LINK), MAGNET.replace(`magnet:?xt=urn:btih:${ID}&`, `shoal:${ID}?`));
  assert.equal(parsed(formatMagnet(LINK)), LINK);
  assert.equal(parsed(formatShoalLink(LINK)), LINK);
});

test('a link of an id alone is short', () => {
  const bare: ChannelLink = { id: ID, name: '', trackers: [], peers: [] };
  assert.is(formatMagnet(bare), `magnet:?xt=urn:btih:${ID}`);
  assert.is(formatShoalLink(bare), `shoal:${ID}`);
});

const SAME_ID: readonly string[] = [
  ID,
  ID.toUpperCase(),
  `  ${ID}\n`,
  `<shoal:${ID}>`,
  `shoal:${ID}`,
  `SHOAL://${ID}`,
  `shoal://${ID}/`,
  `shoal://${ID}/?dn=x`,
  `magnet:?xt=urn:btih:${ID}`,
  `magnet:?dn=x&XT.1=urn:BTIH:${ID.toUpperCase()}`,
  `magnet:?xt=urn:btmh:1220aa&xt=urn:btih:${ID}`,
  'AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH',
  'magnet:?xt=urn:btih:aerukz4jvpg66ajdivtytk6n54asgrlh',
];

for (const text of SAME_ID) {
  test(`${JSON.stringify(text)} names the channel`, () => {
    assert.is(parsed(text).id, ID);
  });
}

const REFUSED: readonly (readonly [text: string, reason: RegExp])[] = [
  ['', /The link is empty; expected magnet:/],
  ['https://example.org/x', /starts with "https:"; expected magnet:/],
  ['magnet:', /no "\?" after "magnet:"/],
  ['magnet:?dn=x', /has no "xt"/],
  ['magnet:?xt=urn:sha1:ABC', /"xt" is "urn:sha1:ABC"; expected urn:btih/],
  ['magnet:?xt=urn:btmh:1220aabb', /v2 hash/],
  ['magnet:?xt=urn:btih:', /has no channel id/],
  [`shoal:${ID.slice(1)}`, /39 hex digits; expected 40. Was the link cut short/],
  [`shoal:${ID}0`, /41 hex digits; expected 40/],
  [`shoal:${ID.slice(0, 6)}g${ID.slice(7)}`, /character 7 is "g"/],
  [`shoal:${ID}?dn=%zz`, /"dn" holds a broken percent sign/],
  [`shoal:${ID}?dn=%ff`, /"dn" holds a broken percent sign/],
  ['hello world', /character 1 is "h"/],
  [`shoal:${ID}?dn=${'x'.repeat(8192)}`, /characters; at most 8192/],
];

for (const [text, reason] of REFUSED) {
  test(`${JSON.stringify(text.slice(0, 60))} is refused because ${reason.source}`, () => {
    const link = parseLink(text);
    assert.match(link instanceof Malformed ? link.reason : 'accepted', reason);
  });
}

test('only usable http, https and udp trackers are kept, each once', () => {
  const trackers = [
    'wss://tracker.example',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://user:pass@tracker.example/announce',
    'udp://tracker.example/announce',
    'udp://tracker.example:0',
    'http://tracker.example:99999/',
    'nonsense',
    'https://tracker.example/announce?key=1#x',
    'https://tracker.example/announce?key=1',
    'udp://tracker.example:80/announce',
  ];
  const text = `shoal:${ID}?${trackers.map((tracker) => `tr=${encodeURIComponent(tracker)}`).join('&')}`;
  assert.equal(parsed(text).trackers, ['https://tracker.example/announce?key=1', 'udp://tracker.example:80/announce']);
});

test('only peers with a host and a port are kept', () => {
  const peers = [
    'host:6881',
    'HOST:6881',
    'host',
    'host:0',
    'host:65536',
    ':1',
    '[::1]:1',
    '[zz]:1',
    'a/b:1',
    '::1:1',
    '999.1.1.1:5',
    'a b:1',
  ];
  const text = `shoal:${ID}?${peers.map((peer) => `x.pe=${peer}`).join('&')}`;
  assert.equal(parsed(text).peers, ['host:6881', '[::1]:1']);
});

test('lists are capped at sixteen', () => {
  const parts = Array.from({ length: 20 }, (_, index) => `tr=http://t${index}.example/announce&x.pe=h${index}:1`);
  const link = parsed(`shoal:${ID}?${parts.join('&')}`);
  assert.is(link.trackers.length, 16);
  assert.is(link.peers.length, 16);
  assert.is(link.peers[0], 'h0:1');
});

test('a name loses control and direction characters, and what is beyond 200 characters', () => {
  assert.is(parsed(`shoal:${ID}?dn=a%00b%1b%5B31m%E2%80%AEc+d`).name, 'ab[31mc d');
  assert.is([...parsed(`shoal:${ID}?dn=${encodeURIComponent('\u{1f41f}'.repeat(300))}`).name].length, 200);
});

test.run();
