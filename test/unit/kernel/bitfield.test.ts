import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../src/kernel/bitfield.js';

test('index 0 is the highest bit of the first byte', () => {
  const field = new Bitfield(10);
  field.add(0);
  field.add(9);
  assert.equal([...field.bytes], [0x80, 0x40]);
});

test('indices outside the field are not taken', () => {
  const field = new Bitfield(3);
  assert.not(field.add(3));
  assert.not(field.add(-1));
  assert.not(field.has(3));
  assert.is(field.count, 0);
});

test('bits beyond the length and bytes that are missing count as not set', () => {
  const field = new Bitfield(10, Uint8Array.of(0xff));
  assert.is(field.count, 8);
  assert.ok(new Bitfield(3, Uint8Array.of(0xff, 0xff)).full);
  assert.equal([...new Bitfield(3, Uint8Array.of(0xff, 0xff)).bytes], [0xe0]);
});

test('a field is within another if that has each of its indices, short or long', () => {
  const lengths = fc.constantFrom(3, 20, 40);
  const field = fc.tuple(lengths, fc.uint8Array({ maxLength: 5 })).map(([length, bytes]) => new Bitfield(length, bytes));
  fc.assert(
    fc.property(field, field, (one, other) => {
      const indices = Array.from({ length: one.length }, (_, index) => index).filter((index) => one.has(index));
      assert.is(
        one.isWithin(other),
        indices.every((index) => other.has(index)),
      );
    }),
  );
});

test('an empty field is full', () => {
  assert.ok(new Bitfield(0).full);
});

test('a field behaves like a set of indices', () => {
  const operations = fc.array(fc.oneof(fc.nat({ max: 70 }), fc.uint8Array({ maxLength: 9 })), { maxLength: 20 });
  fc.assert(
    fc.property(fc.nat({ max: 60 }), operations, (length, steps) => {
      const field = new Bitfield(length);
      const model = new Set<number>();
      for (const step of steps) {
        if (typeof step === 'number') {
          assert.is(field.add(step), step < length && !model.has(step));
          if (step < length) model.add(step);
        } else {
          const other = new Bitfield(length, step);
          for (let index = 0; index < length; index++) if (other.has(index)) model.add(index);
          field.addAll(other);
        }
      }
      assert.is(field.count, model.size);
      assert.is(field.full, model.size === length);
      for (let index = 0; index < length + 9; index++) assert.is(field.has(index), model.has(index));
      assert.equal(new Bitfield(length, field.bytes).bytes, field.bytes);
    }),
    { numRuns: 300 },
  );
});

test('a filled field has every index, and no bit beyond its length', () => {
  const field = new Bitfield(11);
  field.add(3);
  field.fill();
  assert.equal([field.count, field.full, field.bytes], [11, true, Uint8Array.of(0xff, 0xe0)]);
});

test.run();
