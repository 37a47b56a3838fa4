/** Laws of bencode: what is encoded decodes to itself, and the encoding of a value does not depend on the order it was built in. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BencodeValue, decodeBencode, decodeBencodePrefix, encodeBencode } from '../../src/kernel/bencode.js';
import { Malformed } from '../../src/kernel/errors.js';

const key = fc.uint8Array({ maxLength: 8 }).map((bytes) => String.fromCharCode(...bytes));
const { value } = fc.letrec<{ value: BencodeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger().map((number) => number + 0),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((entries) => new Map(entries)),
  ),
}));

test('a value survives encoding and strict decoding, and encodes to the same bytes again', () => {
  fc.assert(
    fc.property(value, (original) => {
      const bytes = encodeBencode(original);
      const decoded = decodeBencode(bytes, { canonical: true });
      assert.not.instance(decoded, Malformed);
      assert.equal(encodeBencode(decoded as BencodeValue), bytes);
    }),
    { numRuns: 300 },
  );
});

test('the order in which a dictionary was built does not show', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.nat()), { maxLength: 8 }), (entries) => {
      const map = new Map(entries);
      assert.equal(encodeBencode(new Map([...map].reverse())), encodeBencode(map));
    }),
    { numRuns: 200 },
  );
});

test('a prefix ends where the value ends, whatever follows', () => {
  fc.assert(
    fc.property(value, fc.uint8Array({ maxLength: 20 }), (original, tail) => {
      const bytes = encodeBencode(original);
      const decoded = decodeBencodePrefix(Buffer.concat([bytes, tail]));
      assert.is(decoded instanceof Malformed ? decoded.reason : decoded.bytesUsed, bytes.length);
    }),
    { numRuns: 200 },
  );
});

test.run();
