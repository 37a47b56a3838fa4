import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import {
  LIVE_VERSION,
  type LiveMessage,
  liveCodec,
  MAP_WINDOWS_MAX,
  PIECES_PER_MESSAGE_MAX,
  type WindowAvailability,
} from '../../../../src/relay/exchange/live-message.js';
import { PIECES_MAX } from '../../../../src/relay/exchange/manifest.js';
import { ALL_SUBSTREAMS, DEPTH_UNKNOWN, type FeedStatus, SUBSTREAMS } from '../../../../src/relay/exchange/substreams.js';

const hex = (message: LiveMessage): string => Buffer.from(liveCodec.encode(message)).toString('hex');

/** Held in part, with the bits a decoder would set. */
function part(number: number, pieceCount: number, key: boolean, bits: Uint8Array): WindowAvailability {
  return { number, pieceCount, key, held: new Bitfield(pieceCount, bits), version: 0xa1b2c3d4 };
}

const TABLE: readonly [LiveMessage, string][] = [
  [{ kind: 'hello', version: 4, publisher: true, rank: 258 }, '00040100000102'],
  [{ kind: 'request', window: 7, pieces: [0, 258], wantManifest: true, patienceMs: 300 }, '020100000007012c00000102'],
  [{ kind: 'manifest', ageMs: 5, bytes: Uint8Array.of(0xaa) }, '0300000005aa'],
  [{ kind: 'manifest', ageMs: 5, bytes: Uint8Array.of(0xaa), short: true }, '0b00000005aa'],
  [{ kind: 'piece', window: 7, piece: 2, payload: Uint8Array.of(0xbb) }, '04000000070002bb'],
  [{ kind: 'cancel', window: 7, pieces: [1] }, '05000000070001'],
  [{ kind: 'refuse', why: 'not-held', window: 7, etaMs: 9, pieces: [1] }, '06010000000700090001'],
  [{ kind: 'info', bytes: Uint8Array.of(0xcc) }, '07cc'],
  [{ kind: 'revocations', bytes: Uint8Array.of(0xdd) }, '08dd'],
  [{ kind: 'have', window: 7, pieces: [1] }, '0a000000070001'],
  [{ kind: 'have', window: 7, pieces: [] }, '0a00000007'],
  [
    {
      kind: 'map',
      full: true,
      tail: 3,
      windows: [
        { number: 5, pieceCount: 10, key: true, held: null, version: 1 },
        { number: 6, pieceCount: 9, key: false, held: null },
      ],
    },
    '010100000003' + '000000000502800a00000001000900000000',
  ],
  [{ kind: 'map', full: false, windows: [{ number: 5, pieceCount: 0, key: false, held: null }] }, '0104' + '010000000501'],
  [{ kind: 'map', full: false, tail: 3, windows: [{ number: 5, pieceCount: 0, key: false, held: null }] }, '010000000003' + '010000000501'],
  [
    { kind: 'map', full: false, tail: 3, windows: [part(5, 9, true, Uint8Array.of(0x81, 0x80))] },
    '010000000003' + '02000000058009a1b2c3d48180',
  ],
  [{ kind: 'subscribe', substreams: 0b100101 }, '0c25'],
  [{ kind: 'subscribe', substreams: 0 }, '0c00'],
  [{ kind: 'feeding', substreams: 0b100001, depths: [0, 1, 2, 3, 4, 15] }, '0d2101234f'],
  [
    {
      kind: 'map',
      full: true,
      tail: 3,
      feed: { offered: 0b111111, fed: 0b000001, depths: [1, 15, 15, 15, 15, 15] },
      windows: [{ number: 5, pieceCount: 0, key: false, held: null }],
    },
    '010900000003' + '3f011fffff' + '010000000501',
  ],
  [
    { kind: 'map', full: false, onAir: true, feed: { offered: 0, fed: 0, depths: [15, 15, 15, 15, 15, 15] }, windows: [] },
    '010e' + '0000ffffff',
  ],
];

for (const [message, bytes] of TABLE) {
  test(`${message.kind} has these bytes: ${bytes}`, () => {
    assert.is(hex(message), bytes);
    assert.equal(liveCodec.decode(Uint8Array.from(Buffer.from(bytes, 'hex'))), message);
  });
}

/** Ordinary objects, as decoders make them. */
const record = <T>(fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
const number = fc.integer({ min: 0, max: 0xffff_ffff });
const pieces = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: PIECES_PER_MESSAGE_MAX });
const milliseconds = fc.integer({ min: 0, max: 0xffff });
const bytes = fc.uint8Array({ maxLength: 200 });
const availability = fc.oneof(
  record({
    number: fc.integer({ min: 0, max: 2_000 }),
    pieceCount: fc.integer({ min: 0, max: PIECES_MAX }),
    key: fc.boolean(),
    held: fc.constant(null),
  }),
  fc
    .tuple(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 1, max: 40 }), fc.boolean(), fc.uint8Array({ minLength: 5, maxLength: 5 }))
    .map((made) => part(...made))
    // A window held whole is written as one.
    .filter(({ held }) => held?.full === false),
);
const substreams = fc.nat({ max: ALL_SUBSTREAMS });
const depths = fc.array(fc.nat({ max: DEPTH_UNKNOWN }), { minLength: SUBSTREAMS, maxLength: SUBSTREAMS });
const feed: fc.Arbitrary<FeedStatus> = record({ offered: substreams, fed: substreams, depths });
const message: fc.Arbitrary<LiveMessage> = fc.oneof(
  record({ kind: fc.constant('hello' as const), version: fc.constant(LIVE_VERSION), publisher: fc.boolean(), rank: number }),
  record({ kind: fc.constant('map' as const), full: fc.boolean(), tail: number, windows: fc.array(availability, { maxLength: 50 }) }),
  record({ kind: fc.constant('map' as const), full: fc.boolean(), windows: fc.array(availability, { maxLength: 50 }) }),
  record({ kind: fc.constant('request' as const), window: number, pieces, wantManifest: fc.boolean(), patienceMs: milliseconds }),
  record({ kind: fc.constant('manifest' as const), ageMs: number, bytes }),
  record({ kind: fc.constant('manifest' as const), ageMs: number, bytes, short: fc.constant(true as const) }),
  record({ kind: fc.constant('piece' as const), window: number, piece: fc.integer({ min: 0, max: 0xffff }), payload: bytes }),
  record({ kind: fc.constant('cancel' as const), window: number, pieces }),
  record({ kind: fc.constant('have' as const), window: number, pieces }),
  record({
    kind: fc.constant('refuse' as const),
    why: fc.constantFrom('busy' as const, 'not-held' as const),
    window: number,
    etaMs: milliseconds,
    pieces,
  }),
  record({ kind: fc.constant('info' as const), bytes }),
  record({ kind: fc.constant('map' as const), full: fc.boolean(), tail: number, feed, windows: fc.array(availability, { maxLength: 5 }) }),
  record({ kind: fc.constant('subscribe' as const), substreams }),
  record({ kind: fc.constant('feeding' as const), substreams, depths }),
);

/** Runs without details do not carry a key flag, which their receiver knows already. */
function asTold(original: LiveMessage): LiveMessage {
  if (original.kind !== 'map') return original;
  return {
    ...original,
    windows: original.windows.map((window) => (window.held === null && window.pieceCount === 0 ? { ...window, key: false } : window)),
  };
}

test('every message survives encoding and decoding', () => {
  fc.assert(
    fc.property(message, (original) => {
      assert.equal(liveCodec.decode(liveCodec.encode(original)), asTold(original));
    }),
    { numRuns: 500 },
  );
});

test('windows that follow each other and are held whole travel as one run', () => {
  const windows = Array.from({ length: 60 }, (_, index) => ({ number: 100 + index, pieceCount: 0, key: false, held: null }));
  assert.is(liveCodec.encode({ kind: 'map', full: true, tail: 100, windows }).length, 12);
});

test('a run longer than 255 windows, and one with a gap, are split', () => {
  const windows = Array.from({ length: 600 }, (_, index) => ({
    number: index < 300 ? index : index + 5,
    pieceCount: 0,
    key: false,
    held: null,
  }));
  assert.equal(liveCodec.decode(liveCodec.encode({ kind: 'map', full: true, tail: 0, windows })), {
    kind: 'map',
    full: true,
    tail: 0,
    windows,
  });
});

test('times that do not fit are the longest that do', () => {
  const decoded = liveCodec.decode(
    liveCodec.encode({ kind: 'request', window: 1, pieces: [], wantManifest: false, patienceMs: 1_000_000 }),
  );
  assert.equal(decoded, { kind: 'request', window: 1, pieces: [], wantManifest: false, patienceMs: 0xffff });
});

const MALFORMED: readonly [title: string, bytes: Uint8Array][] = [
  ['nothing', new Uint8Array()],
  ['an unknown type', Uint8Array.of(14)],
  ['a have cut off', Uint8Array.of(10)],
  ['a subscribe cut off', Uint8Array.of(12)],
  ['a feeding without substreams', Uint8Array.of(13)],
  ['a feeding cut off', Buffer.from('0d210123', 'hex')],
  ['a map whose feeding is cut off', Buffer.from('010900000003' + '3f011fff', 'hex')],
  ['a map without a tail whose feeding is cut off', Buffer.from('010c' + '3f', 'hex')],
  ['a hello cut off', Uint8Array.of(0, 1)],
  ['a request cut off', Uint8Array.of(2, 0, 0, 0)],
  ['a map entry of unknown type', Buffer.from('010000000003' + '030000000501', 'hex')],
  ['a map entry cut off', Buffer.from('010000000003' + '0200000005800981', 'hex')],
  ['a window of no pieces held in part', Buffer.from('010000000003' + '02000000050000', 'hex')],
  ['a window of too many pieces', Buffer.from('010000000003' + '00000000050120' + '01', 'hex')],
  [
    'a map of too many windows',
    Buffer.concat([Buffer.from('010000000003', 'hex'), ...new Array(6).fill(Buffer.from('0100000000ff', 'hex'))]),
  ],
  ['too many pieces', new Uint8Array(5 + 2 * (PIECES_PER_MESSAGE_MAX + 1)).fill(5, 0, 1)],
];

for (const [title, input] of MALFORMED) {
  test(`${title} is malformed`, () => {
    assert.instance(liveCodec.decode(input), Malformed);
  });
}

test('a map of just as many windows as are allowed is taken', () => {
  const windows = Array.from({ length: MAP_WINDOWS_MAX }, (_, index) => ({ number: index, pieceCount: 0, key: false, held: null }));
  assert.not.instance(liveCodec.decode(liveCodec.encode({ kind: 'map', full: true, tail: 0, windows })), Malformed);
});

test('substreams that there are not are left out', () => {
  assert.equal(liveCodec.decode(Uint8Array.of(12, 0xff)), { kind: 'subscribe', substreams: ALL_SUBSTREAMS });
  const fed = liveCodec.decode(Buffer.from('010c' + 'ffc1000000', 'hex'));
  assert.equal(fed, { kind: 'map', full: false, feed: { offered: ALL_SUBSTREAMS, fed: 1, depths: [0, 0, 0, 0, 0, 0] }, windows: [] });
});

test.run();
