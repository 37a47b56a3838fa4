/** AMF0 decoding: every type that peers send, and what is done with bytes that are cut, deep or many. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { type AmfValue, decodeAmf0, encodeAmf0 } from '../../../src/media/amf0.js';

function decode(hex: string): readonly AmfValue[] | Malformed {
  return decodeAmf0(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function reason(hex: string): string {
  const result = decode(hex);
  return result instanceof Malformed ? result.reason : 'accepted';
}

test('numbers, booleans, strings, null and undefined are read in order', () => {
  assert.equal(decode('00 3ff8000000000000 01 01 01 00 02 0002 6869 05 06 0d'), [1.5, true, false, 'hi', null, undefined, undefined]);
});

test('objects, typed objects and ECMA arrays become maps', () => {
  const members = new Map([['a', 'b']]);
  assert.equal(decode('03 0001 61 02 0001 62 0000 09'), [members]);
  assert.equal(decode('08 00000063 0001 61 02 0001 62 0000 09'), [members]);
  assert.equal(decode('10 0001 78 0001 61 02 0001 62 0000 09'), [members]);
});

test('strict arrays, dates, long strings, XML and references are read', () => {
  assert.equal(decode('0a 00000002 05 01 01'), [[null, true]]);
  assert.equal(decode('0b 4059000000000000 0000 0c 00000001 61 0f 00000001 62 07 0001'), [100, 'a', 'b', undefined]);
});

test('an object whose end marker is missing at the end of the body is whole', () => {
  assert.equal(decode('03 0001 61 05'), [new Map([['a', null]])]);
  assert.equal(decode('03 0001 61 05 0000'), [new Map([['a', null]])]);
});

test('a string longer than the body is cut, and bad UTF-8 is replaced', () => {
  assert.equal(decode('02 ffff 6869'), ['hi']);
  assert.equal(decode('02 0002 ff68'), ['\ufffdh']);
});

test('a key named __proto__ is only a key', () => {
  const [value] = decode('03 0009 5f5f70726f746f5f5f 01 01 0000 09') as readonly AmfValue[];
  assert.is((value as ReadonlyMap<string, AmfValue>).get('__proto__'), true);
});

test('an array that claims 2^32 values holds what is there', () => {
  assert.equal(decode('0a ffffffff 05 05'), [[null, null]]);
});

test('depth, number of values, cuts and unknown markers are refused with their reason', () => {
  assert.match(reason('0a00000001'.repeat(18)), 'nested deeper than 16');
  assert.match(reason('05'.repeat(5000)), 'more than 4096 values');
  assert.match(reason('00 3ff8'), 'cut off at byte 1');
  assert.match(reason('11'), 'unknown marker 17');
  assert.match(reason('03 0000 05'), 'an empty key that ends no object');
});

test('what is encoded is decoded as it was', () => {
  const values: readonly AmfValue[] = [
    'connect',
    1.5,
    true,
    null,
    undefined,
    new Map<string, AmfValue>([
      ['app', 'live'],
      ['inner', new Map([['a', false]])],
      ['list', ['hvc1', 2, ['x']]],
    ]),
    'é'.repeat(40_000),
  ];
  assert.equal(decodeAmf0(encodeAmf0(values)), values);
});

test('a command is encoded byte for byte as the format has it', () => {
  const bytes = encodeAmf0(['hi', 1, new Map([['a', null]]), [false]]);
  assert.is(Buffer.from(bytes).toString('hex'), '020002686900' + '3ff0000000000000' + '03000161' + '05000009' + '0a000000010100');
});

test.run();
