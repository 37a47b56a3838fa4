import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ByteReader, ByteWriter, sameBytes } from '../../../src/kernel/bytes.js';

test('what is written is read again, field by field', () => {
  const bytes = new ByteWriter(1)
    .uint8(0xab)
    .uint16(0xcdef)
    .uint32(0xdead_beef)
    .uint48(0xabcd_1234_5678)
    .float64(-1_234.567_891)
    .bytes(Uint8Array.of(1, 2))
    .finish();
  const reader = new ByteReader(bytes);
  assert.equal([reader.uint8(), reader.uint16(), reader.uint32(), reader.uint48()], [0xab, 0xcdef, 0xdead_beef, 0xabcd_1234_5678]);
  assert.is(reader.float64(), -1_234.567_891);
  assert.equal(reader.rest(), Uint8Array.of(1, 2));
  assert.ok(reader.ok);
  assert.is(reader.remainingBytes, 0);
});

test('a read past the end gives zeros from then on, and says so', () => {
  const reader = new ByteReader(Uint8Array.of(1, 2, 3));
  assert.is(reader.uint32(), 0);
  assert.not(reader.ok);
  assert.equal([reader.uint8(), reader.uint16(), reader.uint48(), reader.float64()], [0, 0, 0, 0]);
  assert.equal(reader.bytes(1), new Uint8Array());
});

test('a reader of a view does not look beyond it', () => {
  const reader = new ByteReader(Uint8Array.of(9, 1, 2, 9).subarray(1, 3));
  assert.is(reader.uint16(), 0x0102);
  assert.is(reader.uint8(), 0);
  assert.not(reader.ok);
});

test('a writer grows as it needs to', () => {
  const writer = new ByteWriter(0);
  for (let index = 0; index < 1_000; index++) writer.uint16(index);
  const reader = new ByteReader(writer.finish());
  for (let index = 0; index < 1_000; index++) assert.is(reader.uint16(), index);
});

test('what a writer has given out is not changed by what it writes afterwards', () => {
  for (const capacityBytes of [2, 100, 1_000]) {
    const writer = new ByteWriter(capacityBytes).uint16(0x0102);
    const given = writer.finish();
    writer.bytes(new Uint8Array(500).fill(9));
    assert.equal(given, Uint8Array.of(1, 2));
    assert.is(writer.finish().length, 502);
  }
});

test('only the low bits of a number are written, whatever it is', () => {
  const written = new ByteWriter(0).uint8(0x1ff).uint16(312.7).uint32(-1).uint32(0x1_0000_0003).uint16(Number.NaN).finish();
  assert.equal(written, Uint8Array.of(0xff, 1, 0x38, 255, 255, 255, 255, 0, 0, 0, 3, 0, 0));
});

test('byte strings are equal when every byte is', () => {
  assert.ok(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(sameBytes(new Uint8Array(), new Uint8Array()));
  assert.not(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.not(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1)));
});

test.run();
