import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseSps, type SpsFacts } from '../../../src/media/avc.js';
import { PictureClock } from '../../../src/media/picture-clock.js';

const SPS = parseSps(Uint8Array.from(Buffer.from('6764000dacd941419f9f011000000300100000030320f1429960', 'hex'))) as SpsFacts;

/** A slice whose order count is `order`: three fields of one bit, frame number, [IDR id], count. */
function slice(order: number, options: { readonly idr?: boolean; readonly reference?: boolean } = {}): Uint8Array {
  const { idr = false, reference = true } = options;
  const bits = `111${'0000'}${idr ? '1' : ''}${(order % 64).toString(2).padStart(6, '0')}`.padEnd(32, '1');
  const body = bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? [];
  return Uint8Array.of((idr ? 5 : 1) | (reference ? 0x60 : 0), ...body);
}

/** One group of pictures: order count and reference flag in the order of decoding. */
const GROUP: readonly (readonly [number, boolean])[] = [
  [0, true],
  [8, true],
  [4, true],
  [2, false],
  [6, false],
  [16, true],
  [12, true],
  [10, false],
  [14, false],
];

function run(clock: PictureClock, timesMs: readonly number[], group = GROUP, firstObject = 0): readonly (readonly [number, number])[] {
  return group.map(([order, reference], index) => {
    const object = {
      stream: 1,
      objectNumber: (firstObject + index) & 0xff,
      key: false,
      presentationMs: timesMs[index] ?? 0,
      data: new Uint8Array(0),
    };
    const { decodingMs, compositionMs } = clock.read(object, [slice(order, { idr: order === 0, reference })]);
    return [decodingMs, decodingMs + compositionMs] as const;
  });
}

const inDecoding = GROUP.map((_, index) => 1000 + 40 * index);
const inPresentation = GROUP.map(([order]) => 1000 + 20 * order);

test('times in the order of decoding are kept, and presentation follows the order counts', () => {
  const clock = new PictureClock();
  clock.configure(SPS);
  const times = run(clock, inDecoding);
  assert.equal(
    times.map(([decodingMs]) => decodingMs),
    inDecoding,
  );
  assert.equal(
    times.map(([, presentedMs]) => presentedMs),
    inPresentation.map((timeMs) => timeMs + 80),
  );
});

test('times that go back are presentation times', () => {
  const clock = new PictureClock();
  clock.configure(SPS);
  run(clock, inPresentation);
  const times = run(
    clock,
    inPresentation.map((timeMs) => timeMs + 360),
    GROUP,
    9,
  );
  assert.equal(
    times.map(([, presentedMs]) => presentedMs),
    inPresentation.map((timeMs) => timeMs + 360),
  );
  const decodingMs = times.map(([timeMs]) => timeMs);
  assert.equal(
    decodingMs,
    decodingMs.toSorted((a, b) => a - b),
  );
});

test('order counts are followed over their wrap', () => {
  const clock = new PictureClock();
  clock.configure(SPS);
  const long = Array.from({ length: 100 }, (_, index) => [index * 2, true] as const);
  const times = run(
    clock,
    long.map((_, index) => index * 40),
    long,
  );
  assert.equal(new Set(times.map(([decodingMs, presentedMs]) => presentedMs - decodingMs)), new Set([80]));
});

test('an encoder that counts by 1 is found out by its first odd count', () => {
  const clock = new PictureClock();
  clock.configure({ ...SPS, reorderFrames: 0 });
  const group = [
    [0, true],
    [1, true],
    [2, true],
    [3, true],
  ] as const;
  assert.equal(
    run(clock, [0, 40, 80, 120], group).map(([decodingMs, presentedMs]) => presentedMs - decodingMs),
    [0, 0, 0, 0],
  );
});

test('lost pictures are counted by their object numbers', () => {
  const clock = new PictureClock();
  clock.configure(SPS);
  run(clock, inDecoding.slice(0, 5), GROUP.slice(0, 5));
  const [first] = run(clock, [1000 + 40 * 9], [[24, true]], 9);
  assert.equal(first, [1360, 1360 + 80 + 3 * 40]);
});

test('a depth that the parameter set does not say grows with what is seen', () => {
  const clock = new PictureClock();
  clock.configure({ ...SPS, reorderFrames: undefined });
  run(clock, inDecoding);
  const times = run(
    clock,
    inDecoding.map((timeMs) => timeMs + 360),
    GROUP,
    9,
  );
  assert.equal(
    times.map(([, presentedMs]) => presentedMs),
    inPresentation.map((timeMs) => timeMs + 440),
  );
});

test('a frame length said wrong is measured instead', () => {
  const clock = new PictureClock();
  clock.configure({ ...SPS, frameMs: 5 });
  const long = Array.from({ length: 60 }, (_, index) => [index * 2, true] as const);
  const times = run(
    clock,
    long.map((_, index) => index * 40),
    long,
  );
  const [decodingMs, presentedMs] = times.at(-1) ?? [0, 0];
  assert.is(presentedMs - decodingMs, 80);
});

test.run();
