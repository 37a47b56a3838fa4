import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { decodeAsfWindow, encodeAsfWindow, RECORDS_MAX } from '../../../src/media/asf-window.js';

const epochId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const window = {
  epochId,
  records: [
    { locationId: 0xffff_ffff, payload: Uint8Array.of(9) },
    { locationId: 0, payload: new Uint8Array(0) },
  ],
};

test('a window is its epoch and, for each packet, number, length and bytes', () => {
  const bytes = encodeAsfWindow(window);
  assert.equal([...bytes], [1, 2, 3, 4, 5, 6, 7, 8, 255, 255, 255, 255, 0, 1, 9, 0, 0, 0, 0, 0, 0]);
  assert.equal(decodeAsfWindow(bytes), window);
});

test('a window cut anywhere but behind a packet is refused', () => {
  const bytes = encodeAsfWindow(window);
  for (let end = 0; end < bytes.length; end++) {
    const result = decodeAsfWindow(bytes.subarray(0, end));
    if (end === 15) assert.not.instance(result, Malformed);
    else assert.instance(result, Malformed, `cut at ${end}`);
  }
});

test('a window of more packets than any has is refused', () => {
  const records = Array.from({ length: RECORDS_MAX + 1 }, (_, locationId) => ({ locationId, payload: new Uint8Array(0) }));
  assert.instance(decodeAsfWindow(encodeAsfWindow({ epochId, records })), Malformed);
  assert.not.instance(decodeAsfWindow(encodeAsfWindow({ epochId, records: records.slice(1) })), Malformed);
});

test.run();
