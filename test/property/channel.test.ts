/** Laws of channel identity: descriptors and links survive their encodings, and a canonical source stays as it is. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalSource, decodeDescriptor, encodeDescriptor } from '../../src/ingest/channel.js';
import { formatMagnet, formatShoalLink, parseLink } from '../../src/ingest/channel-link.js';
import { Malformed } from '../../src/kernel/errors.js';

const hex = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const port = fc.integer({ min: 1, max: 65_535 });
const host = fc.oneof(fc.ipV4(), fc.stringMatching(/^[a-z]{1,12}\.example$/), fc.constant('[2001:db8::1]'));
const tracker = fc
  .tuple(fc.constantFrom('http', 'https', 'udp'), host, port, fc.stringMatching(/^[a-z0-9?=&%20+#-]{0,12}$/))
  .map(([scheme, name, number, path]) => `${scheme}://${name}:${number}/announce${path}`);

const descriptor = fc.record(
  {
    container: fc.constantFrom('flv' as const, 'asf' as const),
    source: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
    windowMs: fc.integer({ min: 100, max: 10_000 }),
    pieceBytes: fc.integer({ min: 1024, max: 262_144 }),
    owner: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: null }),
  },
  { noNullPrototype: true },
);

test('a descriptor survives its encoding', () => {
  fc.assert(
    fc.property(descriptor, (original) => {
      assert.equal(decodeDescriptor(encodeDescriptor(original)), original);
    }),
    { numRuns: 200 },
  );
});

test('a link that was read once survives both written forms', () => {
  const link = fc.record(
    {
      id: hex,
      name: fc.string({ unit: 'binary', maxLength: 220 }),
      trackers: fc.array(tracker, { maxLength: 5 }),
      peers: fc.array(
        fc.tuple(host, port).map(([name, number]) => `${name}:${number}`),
        { maxLength: 5 },
      ),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(link, (original) => {
      const once = parseLink(formatMagnet(original));
      if (once instanceof Malformed) throw new Error(once.reason);
      assert.is(once.id, original.id);
      assert.equal(parseLink(formatMagnet(once)), once);
      assert.equal(parseLink(formatShoalLink(once)), once);
    }),
    { numRuns: 200 },
  );
});

test('a canonical source is its own canonical form', () => {
  const url = fc
    .tuple(fc.constantFrom('RTMP', 'http', 'mms'), host, port, fc.webPath())
    .map(([scheme, name, number, path]) => `${scheme}://u@${name}:${number}${path}`);
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), url), (text) => {
      const once = canonicalSource(text);
      if (!(once instanceof Malformed)) assert.is(canonicalSource(once), once);
    }),
    { numRuns: 400 },
  );
});

test.run();
