/** The channel descriptor, its id, and the one spelling of a source. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChannelDescriptor, canonicalSource, channelId, decodeDescriptor, encodeDescriptor } from '../../../src/ingest/channel.js';
import { nodeHasher } from '../../../src/io/crypto.js';
import { type BencodeInput, encodeBencode } from '../../../src/kernel/bencode.js';
import { Malformed, ShoalError } from '../../../src/kernel/errors.js';

const DESCRIPTOR: ChannelDescriptor = {
  container: 'flv',
  source: 'push:test-card',
  windowMs: 1000,
  pieceBytes: 16_384,
  owner: new Uint8Array(32).fill(7),
};

const fields = (changes: Record<string, BencodeInput | undefined>): Uint8Array => {
  const all: Record<string, BencodeInput | undefined> = {
    container: 'flv',
    owner: new Uint8Array(32).fill(7),
    'piece-bytes': 16_384,
    shoal: 1,
    source: 'push:test-card',
    'window-ms': 1000,
    ...changes,
  };
  return encodeBencode(new Map(Object.entries(all).filter((entry): entry is [string, BencodeInput] => entry[1] !== undefined)));
};

const reasonOf = (bytes: Uint8Array): string => {
  const decoded = decodeDescriptor(bytes);
  return decoded instanceof Malformed ? decoded.reason : 'accepted';
};

test('a descriptor has one encoding, and comes back from it', () => {
  const bytes = encodeDescriptor(DESCRIPTOR);
  assert.is(
    Buffer.from(bytes).toString('latin1'),
    `d9:container3:flv5:owner32:${'\x07'.repeat(32)}11:piece-bytesi16384e5:shoali1e6:source14:push:test-card9:window-msi1000ee`,
  );
  assert.equal(decodeDescriptor(bytes), DESCRIPTOR);
});

test('the id is the SHA-1 of the bytes and changes with every field', () => {
  assert.is(channelId(encodeDescriptor(DESCRIPTOR), nodeHasher), '0505a7d28a6355df84c89f05da83169a28bb7793');
  const variants: ChannelDescriptor[] = [
    DESCRIPTOR,
    { ...DESCRIPTOR, container: 'asf' },
    { ...DESCRIPTOR, source: 'push:other' },
    { ...DESCRIPTOR, windowMs: 2000 },
    { ...DESCRIPTOR, pieceBytes: 32_768 },
    { ...DESCRIPTOR, owner: new Uint8Array(32) },
  ];
  const ids = variants.map((variant) => channelId(encodeDescriptor(variant), nodeHasher));
  assert.is(new Set(ids).size, variants.length);
});

const REFUSED: readonly (readonly [what: string, bytes: Uint8Array, reason: RegExp])[] = [
  ['no bytes', new Uint8Array(0), /the end within/],
  ['a list', encodeBencode([]), /no dictionary/],
  ["a torrent's info dictionary", encodeBencode({ length: 5, name: 'x', pieces: '' }), /"shoal" is missing/],
  ['another version', fields({ shoal: 2 }), /"shoal" is 2, expected version 1/],
  ['an unknown container', fields({ container: 'mkv' }), /"container" is neither/],
  ['a missing source', fields({ source: undefined }), /"source" is missing/],
  ['an empty source', fields({ source: '' }), /source has 0 bytes, expected 1 to 1024/],
  ['a long source', fields({ source: 'x'.repeat(1025) }), /source has 1025 bytes/],
  ['a source that is no UTF-8', fields({ source: Uint8Array.of(0xff) }), /no UTF-8/],
  ['a window too short', fields({ 'window-ms': 99 }), /window-ms is 99, expected 100 to 10000/],
  ['a window too long', fields({ 'window-ms': 10_001 }), /window-ms is 10001/],
  ['a window that is text', fields({ 'window-ms': '1000' }), /no integer/],
  ['a piece too small', fields({ 'piece-bytes': 1023 }), /piece-bytes is 1023, expected 1024 to 262144/],
  ['a piece too large', fields({ 'piece-bytes': 262_145 }), /piece-bytes is 262145/],
  ['an owner too short', fields({ owner: new Uint8Array(31) }), /owner has 31 bytes, expected 32/],
  ['an extra key', fields({ zzz: 1 }), /more than 13 tokens/],
  ['an extra nested value', fields({ source: undefined, zzz: [] }), /deeper than 1/],
  ['another key in place of one', fields({ owner: undefined, zzz: 1 }), /6 keys, expected 5/],
  ['trailing bytes', Buffer.concat([encodeDescriptor(DESCRIPTOR), Buffer.from('e')]), /1 bytes follow/],
  ['keys out of order', Buffer.from('d5:shoali1e9:container3:flve'), /out of order/],
  ['too many bytes', new Uint8Array(2049), /2049 bytes, at most 2048/],
];

for (const [what, bytes, reason] of REFUSED) {
  test(`a descriptor of ${what} is refused`, () => {
    assert.match(reasonOf(bytes), reason);
  });
}

test('a descriptor out of range cannot be made, and the error names the field', () => {
  const attempt = (changes: Partial<ChannelDescriptor>): string => {
    try {
      encodeDescriptor({ ...DESCRIPTOR, ...changes });
      return 'made';
    } catch (error) {
      assert.instance(error, ShoalError);
      return `${(error as ShoalError).code} ${(error as ShoalError).message}`;
    }
  };
  assert.match(attempt({ windowMs: 50 }), /DESCRIPTOR_MALFORMED .*window-ms is 50/);
  assert.match(attempt({ pieceBytes: 1500.5 }), /piece-bytes is 1500.5/);
  assert.match(attempt({ owner: new Uint8Array(3) }), /owner has 3 bytes/);
  assert.match(attempt({ source: '\ud800' }), /surrogate/);
});

const SOURCES: readonly (readonly [text: string, canonical: string])[] = [
  ['studio-1', 'push:studio-1'],
  ['push:studio-1', 'push:studio-1'],
  ['  PUSH:  Studio   One ', 'push:Studio One'],
  ['e\u0301te', 'push:\u00e9te'],
  ['RTMP://Live.Example.ORG:1935/App/Name', 'rtmp://live.example.org/App/Name'],
  ['rtmp://live.example.org:1936/app/name', 'rtmp://live.example.org:1936/app/name'],
  ['http://user:secret@host/a.flv?b=C%2f&d#top', 'http://host/a.flv?b=C%2f&d'],
  ['http://host:80', 'http://host/'],
  ['http://host:0080/x/../y', 'http://host/x/../y'],
  ['https://host:443/x', 'https://host/x'],
  ['mms://HOST:1755/live', 'mms://host/live'],
  ['mmsh://host:80/live', 'mmsh://host/live'],
  ['http://[::1]:8080/x', 'http://[::1]:8080/x'],
  ['http://b\u00fccher.example/x', 'http://xn--bcher-kva.example/x'],
];

for (const [text, canonical] of SOURCES) {
  test(`the source ${JSON.stringify(text)} is ${canonical}, and that is its own canonical form`, () => {
    assert.is(canonicalSource(text), canonical);
    assert.is(canonicalSource(canonical), canonical);
  });
}

const BAD_SOURCES: readonly (readonly [text: string, reason: RegExp])[] = [
  ['', /empty/],
  ['push: ', /has no name/],
  ['a\u0000b', /control character/],
  ['ftp://host/x', /scheme "ftp" is unknown; expected one of rtmp/],
  ['http://', /no usable host/],
  ['http://a b/x', /no usable host/],
  ['http://host:70000/x', /port 70000 is outside/],
  ['http://host:0/x', /port 0 is outside/],
  ['http://host:12ab/x', /malformed/],
  ['http://host/a b', /space or control/],
  ['x'.repeat(1100), /1105 bytes; at most 1024/],
];

for (const [text, reason] of BAD_SOURCES) {
  test(`the source ${JSON.stringify(text.slice(0, 30))} is refused because it is ${reason.source}`, () => {
    const canonical = canonicalSource(text);
    assert.match(canonical instanceof Malformed ? canonical.reason : `accepted as ${canonical}`, reason);
  });
}

test('an open channel has no owner in its descriptor, and an id of its own', () => {
  const open = { ...DESCRIPTOR, owner: null };
  const bytes = encodeDescriptor(open);
  assert.not.ok(Buffer.from(bytes).toString('latin1').includes('owner'));
  assert.equal(decodeDescriptor(bytes), open);
  assert.is.not(channelId(bytes, nodeHasher), channelId(encodeDescriptor(DESCRIPTOR), nodeHasher));
});

test.run();
