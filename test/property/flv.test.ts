import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import {
  AUDIO,
  classifyTag,
  decodeTags,
  encodedTagBytes,
  encodeFlvHeader,
  encodeTag,
  FlvParser,
  type FlvTag,
  SCRIPT,
  VIDEO,
} from '../../src/media/flv.js';

const flvTag: fc.Arbitrary<FlvTag> = fc.record(
  {
    type: fc.constantFrom(AUDIO, VIDEO, SCRIPT),
    timestampMs: fc.integer({ min: 0, max: 0xffff_ffff }),
    body: fc.uint8Array({ maxLength: 200 }),
  },
  { noNullPrototype: true },
);

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

test('what is encoded is parsed back, however the stream is cut', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(flvTag, { maxLength: 12 }), cuts, (tags, sizes) => {
      const bytes = concat([encodeFlvHeader({ audio: true, video: true }), ...tags.map(encodeTag)]);
      const parser = new FlvParser();
      const found: FlvTag[] = [];
      let turn = 0;
      for (let at = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        const result = parser.push(bytes.subarray(at, at + size));
        assert.not.instance(result, Malformed);
        found.push(...(result as readonly FlvTag[]));
        at += size;
      }
      assert.equal(found, tags);
    }),
    { numRuns: 300 },
  );
});

test('a run of encoded tags decodes to the same tags and has the size foretold', () => {
  fc.assert(
    fc.property(fc.array(flvTag, { maxLength: 12 }), (tags) => {
      const bytes = concat(tags.map(encodeTag));
      assert.is(
        bytes.length,
        tags.reduce((sum, tag) => sum + encodedTagBytes(tag), 0),
      );
      assert.equal(decodeTags(bytes), tags);
    }),
    { numRuns: 300 },
  );
});

test('every body has a class, and only a video frame is ever a key frame', () => {
  fc.assert(
    fc.property(flvTag, (tag) => {
      const { kind, key } = classifyTag(tag);
      assert.ok(!key || (kind === 'frame' && tag.type === VIDEO));
    }),
    { numRuns: 2000 },
  );
});

test.run();
