/** What a hostile neighbour says and does: it is disconnected, or ignored, and nothing grows. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../../../src/vod/block.js';
import type { PeerMessage } from '../../../../src/vod/peer-message.js';
import { CALLED_OFF_MAX } from '../../../../src/vod/transfer/called-off.js';
import { Manners } from '../../../../src/vod/transfer/manners.js';
import { UPLOADS_PER_PEER_MAX } from '../../../../src/vod/upload-queue.js';
import { DrivenTitle, disconnectsOf, eventsOf, kindsTo, sentTo } from '../../../support/driven-title.js';

const SPARE_BITS = Uint8Array.of(0xff, 0xff, 0xf8);

/** What a session that holds the first half does when a neighbour says this. */
function judge(messages: readonly PeerMessage[], overrides: { readonly fast?: boolean } = {}): readonly string[] {
  const title = new DrivenTitle([0, 1, 2, 3, 4]);
  title.meet('x', null, overrides);
  return disconnectsOf(messages.flatMap((message) => title.hear('x', message)));
}

function many(count: number, make: (index: number) => PeerMessage): PeerMessage[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

test('patience runs out, and comes back with time', () => {
  const manners = new Manners(0, 0);
  let count = 0;
  while (manners.bears('chatter', 0)) count += 1;
  assert.is(count, 500);
  assert.not.ok(manners.bears('chatter', 500));
  assert.ok(manners.bears('chatter', 2_000));
  assert.ok(manners.bears('excess-request', 2_000));
});

test('pieces that do not exist cost the connection, whatever is said about them', () => {
  for (const kind of ['have', 'dont-have', 'allowed-fast'] as const) {
    for (const piece of [20, 0xffff_ffff]) assert.match(judge([{ kind: 'have-none' }, { kind, piece }])[0] ?? '', /x misbehaved/, kind);
  }
});

test('a bitfield of another length, or with spare bits set, costs the connection', () => {
  for (const bytes of [new Uint8Array(2), new Uint8Array(4), new Uint8Array(1_000_000), SPARE_BITS]) {
    assert.match(judge([{ kind: 'bitfield', bytes }])[0] ?? '', /misbehaved: a bitfield/);
  }
  assert.equal(judge([{ kind: 'bitfield', bytes: Uint8Array.of(0xff, 0xff, 0xe0) }]), []);
});

test('what a neighbour holds is said once as a whole, and first', () => {
  const whole: readonly PeerMessage[] = [{ kind: 'bitfield', bytes: new Uint8Array(3) }, { kind: 'have-all' }, { kind: 'have-none' }];
  for (const first of whole) for (const second of whole) assert.match(judge([first, second, second, second])[0] ?? '', /says twice/);
  for (const late of whole)
    assert.match(judge([{ kind: 'interested' }, late, late, late], { fast: false })[0] ?? '', /says twice, or too late/);
});

test('a bitfield in place of many haves is taken, for as long as it adds something', () => {
  const some: PeerMessage = { kind: 'bitfield', bytes: Uint8Array.of(0b1000_0000, 0, 0) };
  const more: PeerMessage = { kind: 'bitfield', bytes: Uint8Array.of(0b1110_0000, 0, 0b0001_0000) };
  const other: PeerMessage = { kind: 'bitfield', bytes: Uint8Array.of(0b0001_1111, 0xff, 0xf0) };
  assert.equal(judge([{ kind: 'have-none' }, some, { kind: 'have', piece: 2 }, more, { kind: 'have-all' }]), []);
  assert.match(judge([some, other])[0] ?? '', /says twice/);
  assert.match(judge([some, more, some])[0] ?? '', /says twice/);
  assert.match(judge([some, { kind: 'have-none' }])[0] ?? '', /says twice/);
  assert.equal(judge([some, more, more]), [], 'once in a while it may say nothing new');
  assert.match(judge([some, more, more, more])[0] ?? '', /says twice/);
});

test('what a late bitfield adds is wanted, and counted like haves', () => {
  const title = new DrivenTitle([]);
  title.meet('x', { kind: 'have-none' });
  const effects = title.hear('x', { kind: 'bitfield', bytes: Uint8Array.of(0b0100_0000, 0, 0) });
  assert.ok(kindsTo(effects, 'x').includes('interested'));
});

test('who begins with anything else holds nothing, fast extension or not', () => {
  const others: readonly PeerMessage[] = [
    { kind: 'interested' },
    { kind: 'unchoke' },
    { kind: 'have', piece: 1 },
    { kind: 'request', piece: 1, offsetBytes: 0, lengthBytes: BLOCK_BYTES },
  ];
  for (const message of others) {
    for (const fast of [true, false]) assert.equal(judge([message], { fast }), [], message.kind);
  }
  assert.equal(judge([{ kind: 'upload-only', on: false }, { kind: 'have-all' }]), []);
});

test('requests outside the title, empty ones and those of more than 128 KiB cost the connection', () => {
  const bad = [
    [20, 0, BLOCK_BYTES],
    [0xffff_ffff, 0, BLOCK_BYTES],
    [1, 4 * BLOCK_BYTES, 1],
    [1, 0xffff_ffff, BLOCK_BYTES],
    [1, BLOCK_BYTES, 4 * BLOCK_BYTES],
    [19, BLOCK_BYTES, BLOCK_BYTES],
    [1, 0, 0],
    [1, 0, 131_073],
    [1, 0, 0xffff_ffff],
  ];
  for (const [piece = 0, offsetBytes = 0, lengthBytes = 0] of bad) {
    const verdict = judge([{ kind: 'have-none' }, { kind: 'request', piece, offsetBytes, lengthBytes }]);
    assert.match(verdict[0] ?? '', /x misbehaved: asks for/, `${piece} ${offsetBytes} ${lengthBytes}`);
  }
});

test('a hundred thousand requests fill no more than the queue, and end the connection', () => {
  for (const fast of [true, false]) {
    const title = new DrivenTitle('all');
    title.meet('x', fast ? { kind: 'have-none' } : null, { fast, kin: true });
    title.input({ kind: 'peer-blocked', peer: 'x' });
    let ended = 0;
    for (let index = 0; index < 100_000; index++) {
      const offsetBytes = (index % 60_000) + (index % 2);
      const effects = title.hear('x', { kind: 'request', piece: index % 18, offsetBytes, lengthBytes: 1 });
      assert.ok(title.session.figures().requestsWaiting <= UPLOADS_PER_PEER_MAX);
      ended += disconnectsOf(effects).length;
    }
    assert.is(ended, 1);
    assert.is(title.session.figures().neighbours, 0);
    assert.is(title.session.figures().requestsWaiting, 0);
  }
});

test('requests while choked are rejected, and too many of them end the connection', () => {
  const title = new DrivenTitle('all');
  title.meet('x', { kind: 'have-none' });
  const request = { kind: 'request', piece: 0, offsetBytes: 0, lengthBytes: BLOCK_BYTES } as const;
  assert.equal(kindsTo(title.hear('x', request), 'x'), ['reject']);
  const effects = title.hear('x', ...many(10_000, () => request));
  assert.match(disconnectsOf(effects)[0] ?? '', /flood of requests/);
});

test('a block nobody asked for is not stored, and many of them end the connection', () => {
  const title = new DrivenTitle();
  title.meetGenerous('x');
  const effects = [
    ...title.deliver('x', 3, 0),
    ...title.deliver('x', 3, 5),
    ...title.deliver('x', 99, 0),
    ...title.deliver('x', 19, BLOCK_BYTES),
    ...title.deliver('x', 3, 0, 131_072),
  ];
  assert.equal(eventsOf(effects, 'store-block'), []);
  assert.equal(disconnectsOf(effects), []);
  assert.is(title.session.figures().unaskedBytes, 4 * BLOCK_BYTES + 131_072);
  const flood = many(200, () => ({ kind: 'piece', piece: 3, offsetBytes: 0, bytes: new Uint8Array(BLOCK_BYTES) }));
  assert.match(disconnectsOf(title.hear('x', ...flood))[0] ?? '', /blocks nobody asked for/);
});

test('who was never asked for anything ends with the first block or reject', () => {
  for (const first of [
    { kind: 'piece', piece: 3, offsetBytes: 0, bytes: new Uint8Array(BLOCK_BYTES) },
    { kind: 'reject', piece: 3, offsetBytes: 0, lengthBytes: BLOCK_BYTES },
  ] as const) {
    const title = new DrivenTitle();
    title.meet('x', { kind: 'have-none' });
    assert.is(disconnectsOf(title.hear('x', first)).length, 1);
  }
});

test('a block of another length than was asked for is not stored', () => {
  const title = new DrivenTitle();
  const [request] = sentTo(title.meetGenerous('x'), 'x', 'request');
  assert.ok(request);
  const effects = title.deliver('x', request.piece, request.offsetBytes, 100);
  assert.equal(eventsOf(effects, 'store-block'), []);
});

test('floods of chokes, interest, announcements and suggestions end the connection', () => {
  const floods: Readonly<Record<string, (index: number) => PeerMessage>> = {
    choke: (index) => ({ kind: index % 2 ? 'choke' : 'unchoke' }),
    'one choke': () => ({ kind: 'choke' }),
    interest: (index) => ({ kind: index % 2 ? 'interested' : 'not-interested' }),
    'one have': () => ({ kind: 'have', piece: 1 }),
    'have and not': (index) => ({ kind: index % 2 ? 'have' : 'dont-have', piece: 1 }),
    suggest: () => ({ kind: 'suggest', piece: 1 }),
    'suggest what is not': () => ({ kind: 'suggest', piece: 0xffff_ffff }),
    'allowed-fast': (index) => ({ kind: 'allowed-fast', piece: index % 20 }),
    'upload-only': (index) => ({ kind: 'upload-only', on: index % 2 === 0 }),
    watching: (index) => ({ kind: 'watching', on: index % 2 === 0 }),
    reject: () => ({ kind: 'reject', piece: 1, offsetBytes: 0, lengthBytes: BLOCK_BYTES }),
  };
  for (const [name, make] of Object.entries(floods)) {
    assert.match(judge([{ kind: 'have-none' }, ...many(5_000, make)])[0] ?? '', /x misbehaved/, name);
  }
});

test('ordinary changes over a long time are borne', () => {
  const title = new DrivenTitle();
  title.meet('x', { kind: 'have-none' });
  for (let round = 0; round < 2_000; round++) {
    title.nowMs += 10_000;
    const effects = title.hear('x', { kind: 'unchoke' }, { kind: 'interested' }, { kind: 'choke' }, { kind: 'not-interested' });
    assert.equal(disconnectsOf(effects), []);
  }
});

test('a seeder that loses and regains a piece again and again costs no more each time', () => {
  const title = new DrivenTitle();
  title.meet('x');
  title.hear('x', ...many(200, (index) => ({ kind: index % 2 ? 'have' : 'dont-have', piece: 1 })));
  assert.is(title.session.figures().seeders, 0);
  assert.is(title.session.holders(1), 1);
  title.input({ kind: 'peer-down', peer: 'x' });
  assert.is(title.session.holders(1), 0);
});

test('cancels of what was never asked for are ignored', () => {
  const title = new DrivenTitle('all');
  title.meet('x', { kind: 'have-none' }, { kin: true });
  const cancel = { kind: 'cancel', piece: 0xffff_ffff, offsetBytes: 1, lengthBytes: 0 } as const;
  assert.equal(kindsTo(title.hear('x', cancel, cancel), 'x'), []);
});

test('what is remembered of requests that were taken back is bounded', () => {
  assert.ok(CALLED_OFF_MAX <= 4_096);
});

test('messages of somebody who was never introduced, or has been dropped, are ignored', () => {
  const title = new DrivenTitle();
  assert.equal(title.hear('ghost', { kind: 'have-all' }, { kind: 'unchoke' }), []);
  title.meet('x');
  title.hear('x', { kind: 'have', piece: 99 });
  assert.equal(title.hear('x', { kind: 'unchoke' }), []);
});

test.run();
