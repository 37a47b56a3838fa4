import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  buildAvcConfig,
  isAnnexB,
  joinLengthPrefixed,
  parseAvcConfig,
  parseSps,
  ppsId,
  readPictureOrder,
  splitAnnexB,
  splitLengthPrefixed,
} from '../../../src/media/avc.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
/** High profile of x264 at 25 frames a second with pyramidal B-frames, and its picture parameter set. */
const SPS = bytes('6764000dacd941419f9f011000000300100000030320f1429960');
const PPS = bytes('68efbcb0');

test('units are found between start codes of three and four bytes, without trailing zeros', () => {
  const units = splitAnnexB(bytes('00000001090a000001650102000000000141aa0000'));
  assert.equal(
    units.map((unit) => Buffer.from(unit).toString('hex')),
    ['090a', '650102', '41aa'],
  );
  assert.equal(splitAnnexB(bytes('0102030405')), []);
  assert.ok(isAnnexB(bytes('000001')));
  assert.not(isAnnexB(bytes('00000100').with(2, 2)));
});

test('length-prefixed units are joined and split again, and lengths that do not add up give nothing', () => {
  const joined = joinLengthPrefixed([SPS, PPS]);
  assert.equal(splitLengthPrefixed(joined, 4), [SPS, PPS]);
  assert.equal(splitLengthPrefixed(joined.subarray(0, joined.length - 1), 4), []);
  assert.equal(splitLengthPrefixed(bytes('00000005aa'), 4), []);
});

test('an avcC record holds profile, level and the parameter sets', () => {
  const record = buildAvcConfig([SPS], [PPS]);
  assert.equal([...(record?.subarray(0, 6) ?? [])], [1, 0x64, 0, 0x0d, 0xff, 0xe1]);
  assert.equal(record && parseAvcConfig(record), { lengthBytes: 4, sps: [SPS], pps: [PPS] });
  assert.is(buildAvcConfig([SPS], []), undefined);
  assert.is(buildAvcConfig([new Uint8Array(3)], [PPS]), undefined);
});

test('a cut avcC record is none', () => {
  const record = buildAvcConfig([SPS], [PPS]) ?? new Uint8Array(0);
  for (let end = 0; end < record.length; end++) assert.is(parseAvcConfig(record.subarray(0, end)), undefined, `cut at ${end}`);
});

test('a sequence parameter set tells reordering and the length of a frame', () => {
  const facts = parseSps(SPS);
  assert.equal(facts, { id: 0, reorderFrames: 2, frameMs: 40, separateColours: false, frameNumBits: 4, orderBits: 6, framesOnly: true });
  assert.is(ppsId(PPS), 0);
  for (let end = 1; end < 6; end++) assert.is(parseSps(SPS.subarray(0, end)), undefined, `cut at ${end}`);
});

test('the first slice tells the order of a picture', () => {
  const sps = parseSps(SPS);
  if (sps === undefined) throw new Error('no facts');
  const order = (hex: string): unknown => readPictureOrder([bytes('090a'), bytes(hex)], sps);
  assert.equal(order('419a24189bffc453'), { idr: false, reference: true, orderLow: 8 });
  assert.equal(order('419e424210fffeed'), { idr: false, reference: true, orderLow: 4 });
  assert.equal(order('019e614425fffef2'), { idr: false, reference: false, orderLow: 2 });
  assert.is(readPictureOrder([SPS], sps), undefined);
});

test.run();
