/** The metadata exchange serves what it has, fetches from several peers, and knows whom to blame. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../../src/io/crypto.js';
import { type MetadataEffect, MetadataExchange, TORRENT_METADATA_LIMITS } from '../../../../src/io/peers/metadata-exchange.js';
import { encodeBencode } from '../../../../src/kernel/bencode.js';
import { hex, pattern } from '../../../support/swarm-fixture.js';

const LONG = pattern(40_000, 3);
const HASH = hex(nodeHasher.sha1(LONG));

function request(piece: number): Uint8Array {
  return encodeBencode({ msg_type: 0, piece });
}

function reject(piece: number): Uint8Array {
  return encodeBencode({ msg_type: 2, piece });
}

function data(piece: number, payload: Uint8Array, totalBytes = LONG.length): Uint8Array {
  return Buffer.concat([encodeBencode({ msg_type: 1, piece, total_size: totalBytes }), payload]);
}

function piece(index: number, of: Uint8Array = LONG): Uint8Array {
  return of.subarray(index * 16_384, (index + 1) * 16_384);
}

/** Effects as text, payloads left out. */
function brief(effects: readonly MetadataEffect[]): string[] {
  return effects.map((effect) => {
    if (effect.kind === 'verified') return `verified ${effect.metadata.length}`;
    if (effect.kind === 'misbehaved') return `misbehaved ${effect.peer}: ${effect.detail}`;
    return `to ${effect.to}: ${Buffer.from(effect.bytes).toString('latin1').replace(/ee.*$/s, 'ee')}`;
  });
}

function fetching(...peerIds: string[]): MetadataExchange {
  const exchange = new MetadataExchange(HASH, nodeHasher, null);
  for (const id of peerIds) exchange.peerReady(id, LONG.length, 0);
  return exchange;
}

test('metadata is served in pieces of 16 KiB, the last one short', () => {
  const exchange = new MetadataExchange(HASH, nodeHasher, LONG);
  exchange.peerReady('a', undefined, 0);
  const [effect] = exchange.message('a', request(2), 0);
  assert.is(effect?.kind, 'send');
  if (effect?.kind === 'send') assert.equal(hex(effect.bytes), hex(data(2, piece(2))));
});

test('a piece that is not there is rejected, and so is everything while there is no metadata', () => {
  const exchange = new MetadataExchange(HASH, nodeHasher, LONG);
  exchange.peerReady('a', undefined, 0);
  for (const index of [3, 9999, 0x7fffffff]) {
    assert.equal(brief(exchange.message('a', request(index), 0)), [`to a: d8:msg_typei2e5:piecei${index}ee`]);
  }
  assert.equal(brief(fetching('b').message('b', request(0), 0)), ['to b: d8:msg_typei2e5:piecei0ee']);
});

test('one peer gets 64 pieces, then rejects, then nothing', () => {
  const exchange = new MetadataExchange(HASH, nodeHasher, LONG);
  exchange.peerReady('a', undefined, 0);
  const answers = Array.from({ length: 200 }, () => brief(exchange.message('a', request(0), 0))[0] ?? 'nothing');
  const types = answers.map((text) => /msg_typei(\d)e/.exec(text)?.[1] ?? text);
  assert.equal([types[63], types[64], types[127], types[128]], ['1', '2', '2', 'nothing']);
  assert.match(brief(exchange.message('b', request(0), 0)).join(), /^$/);
});

test('all pieces of the announced size are asked for and verified', () => {
  const exchange = new MetadataExchange(HASH, nodeHasher, null);
  const asked = brief(exchange.peerReady('a', LONG.length, 0));
  assert.equal(
    asked,
    [0, 1, 2].map((index) => `to a: d8:msg_typei0e5:piecei${index}ee`),
  );
  assert.equal(exchange.message('a', data(2, piece(2)), 1), []);
  assert.equal(exchange.message('a', data(0, piece(0)), 1), []);
  assert.equal(brief(exchange.message('a', data(1, piece(1)), 1)), ['verified 40000']);
  assert.equal(hex(exchange.metadata ?? new Uint8Array(0)), hex(LONG));
  assert.equal(exchange.tick(100_000), [], 'and nobody is asked any more');
});

test("wrong metadata is its sender's fault, and the next peer is asked", () => {
  const exchange = fetching('a', 'b', 'c', 'd');
  const forged = pattern(40_000, 4);
  exchange.message('a', data(0, piece(0, forged)), 1);
  exchange.message('a', data(1, piece(1, forged)), 1);
  const effects = brief(exchange.message('a', data(2, piece(2, forged)), 1));
  assert.is(effects[0], 'misbehaved a: metadata that does not hash to the info hash');
  assert.match(effects[1] ?? '', 'to d:');
});

test('a rejecting or silent peer makes room for another and is asked again later', () => {
  const exchange = fetching('a', 'b', 'c', 'd');
  assert.match(brief(exchange.message('a', reject(0), 1))[0] ?? '', 'to d:');
  const later = brief(exchange.tick(5_001));
  assert.ok(later.some((text) => text.startsWith('to a:')));
});

test('peers without a size, or with one above 64 KiB, are not asked', () => {
  const exchange = new MetadataExchange(HASH, nodeHasher, null);
  assert.equal(exchange.peerReady('a', undefined, 0), []);
  assert.equal(exchange.peerReady('b', 65_537, 0), []);
  assert.equal(exchange.peerReady('c', Number.MAX_SAFE_INTEGER, 0), []);
  assert.is(exchange.peerReady('a', LONG.length, 1).length, 3, 'a size that comes later counts');
});

test('pieces out of range or of another size are misbehaviour; unasked ones within it are ignored', () => {
  assert.match(brief(fetching('a').message('a', data(9999, piece(0)), 0))[0] ?? '', 'misbehaved a: metadata piece 9999');
  assert.match(brief(fetching('a').message('a', data(3, piece(0)), 0))[0] ?? '', 'misbehaved a');
  assert.match(brief(fetching('a').message('a', data(0, piece(2)), 0))[0] ?? '', 'misbehaved a');
  assert.match(brief(fetching('a').message('a', data(0, piece(0), 50_000), 0))[0] ?? '', 'misbehaved a');
  const full = new MetadataExchange(HASH, nodeHasher, LONG);
  full.peerReady('a', undefined, 0);
  assert.equal(full.message('a', data(0, piece(0)), 0), []);
});

test('an unknown msg_type is ignored, nonsense is not', () => {
  assert.equal(fetching('a').message('a', encodeBencode({ msg_type: 3, piece: 0 }), 0), []);
  for (const bytes of ['le', 'd8:msg_type1:xe', 'd8:msg_typei0ee', 'd8:msg_typei0e5:piecei-1ee', '', 'l'.repeat(2000)]) {
    assert.match(brief(fetching('a').message('a', Buffer.from(bytes), 0))[0] ?? '', 'misbehaved', bytes.slice(0, 30));
  }
});

test('a peer that leaves in the middle is replaced', () => {
  const exchange = fetching('a', 'b', 'c', 'd');
  assert.match(brief(exchange.peerGone('b', 1))[0] ?? '', 'to d:');
});

test('of a torrent all pieces may be asked for at once, four times over; who floods is sent away', () => {
  const exchange = new MetadataExchange(HASH, nodeHasher, LONG, TORRENT_METADATA_LIMITS);
  exchange.peerReady('a', undefined, 0);
  const answers = Array.from({ length: 300 }, () => brief(exchange.message('a', request(0), 0))[0] ?? 'later');
  assert.not.ok(answers.slice(0, 268).some((text) => text.includes('msg_typei2e') || text.startsWith('misbehaved')));
  assert.is(answers[268], 'misbehaved a: floods with requests for metadata');
  const blind = new MetadataExchange(HASH, nodeHasher, null, TORRENT_METADATA_LIMITS);
  blind.peerReady('a', undefined, 0);
  const first = Array.from({ length: 2_049 }, () => brief(blind.message('a', request(0), 0))[0] ?? '').findIndex((text) =>
    text.startsWith('misbehaved'),
  );
  assert.is(first, 2_048);
});

const HUGE = pattern(4_000_000, 8);
const HUGE_HASH = hex(nodeHasher.sha1(HUGE));

test('long metadata is asked for a window at a time, and a peer has to go on sending', () => {
  const exchange = new MetadataExchange(HUGE_HASH, nodeHasher, null, TORRENT_METADATA_LIMITS);
  assert.is(exchange.peerReady('a', HUGE.length, 0).length, 8);
  let nowMs = 0;
  for (let index = 0; index < 244; index++) {
    nowMs += 100;
    assert.equal(exchange.tick(nowMs), []);
    exchange.message('a', data(index, piece(index, HUGE), HUGE.length), nowMs);
  }
  assert.is(brief(exchange.message('a', data(244, piece(244, HUGE), HUGE.length), nowMs)).join(), 'verified 4000000');
  const stalling = new MetadataExchange(HUGE_HASH, nodeHasher, null, TORRENT_METADATA_LIMITS);
  stalling.peerReady('a', HUGE.length, 0);
  stalling.message('a', data(0, piece(0, HUGE), HUGE.length), 4_000);
  assert.equal(stalling.tick(8_900), []);
  stalling.tick(9_001);
  assert.equal(stalling.message('a', data(1, piece(1, HUGE), HUGE.length), 9_100), [], 'its pieces are late now');
});

test('a peer that sends a piece now and then does not keep its place for ever', () => {
  const exchange = new MetadataExchange(HUGE_HASH, nodeHasher, null, TORRENT_METADATA_LIMITS);
  exchange.peerReady('a', HUGE.length, 0);
  let nowMs = 0;
  let index = 0;
  while (exchange.message('a', data(index, piece(index, HUGE), HUGE.length), nowMs).length > 0) {
    index++;
    nowMs += 4_900;
    exchange.tick(nowMs);
  }
  assert.ok(nowMs < 140_000, `given up after ${nowMs} ms`);
});

test('metadata announced as enormous is fetched from one peer at a time, and above 16 MiB not at all', () => {
  const exchange = new MetadataExchange(HUGE_HASH, nodeHasher, null, TORRENT_METADATA_LIMITS);
  assert.is(exchange.peerReady('a', 16_777_216, 0).length, 8);
  assert.is(exchange.peerReady('b', 16_777_216, 0).length, 0);
  assert.is(exchange.peerReady('c', 16_777_217, 0).length, 0);
  assert.match(brief(exchange.tick(5_001))[0] ?? '', 'to b:');
});

test("a torrent's metadata is served at a rate, what comes faster waits, and what floods is rejected", () => {
  const exchange = new MetadataExchange(HUGE_HASH, nodeHasher, HUGE, TORRENT_METADATA_LIMITS);
  exchange.peerReady('a', undefined, 0);
  const sent = (effects: readonly MetadataEffect[], type: number): number =>
    brief(effects).filter((text) => text.includes(`msg_typei${type}e`)).length;
  const answers = Array.from({ length: 1_200 }, () => exchange.message('a', request(0), 0)).flat();
  assert.equal([sent(answers, 1), sent(answers, 2)], [64, 1_200 - 64 - 1_024]);
  for (let second = 1; second <= 32; second++) assert.is(sent(exchange.tick(second * 1_000), 1), 32);
  assert.is(sent(exchange.tick(33_000), 1), 0);
});

test.run();
