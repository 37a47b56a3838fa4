/** Title sessions in a small world: what is wanted comes, what a reader waits for first, and what is asked for is given. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../../src/vod/block.js';
import type { TitleEffect } from '../../../src/vod/title-protocol.js';
import { DrivenTitle, disconnectsOf, eventsOf } from '../../support/driven-title.js';
import { TitleWorld } from '../../support/title-world.js';

const MIB = 1_048_576;

test('a leecher gets the whole title from a seeder, byte by byte', () => {
  const world = new TitleWorld({ pieceCount: 40, pieceLengthBytes: 65_536, shortByBytes: 30_001 });
  const seeder = world.join('seeder', { holds: 'all' });
  const leecher = world.join('leecher');
  world.connect(leecher, seeder);
  assert.ok(world.runUntil(() => leecher.isComplete, 5_000) !== undefined);
  assert.ok(leecher.isIntact);
  assert.is(leecher.session.figures().duplicateBytes, 0);
  assert.is(leecher.session.figures().downBytes, world.shape.totalBytes);
});

test('an ordinary client without the fast extension is served as well', () => {
  const world = new TitleWorld({ pieceCount: 40, pieceLengthBytes: 65_536 });
  const seeder = world.join('seeder', { holds: 'all', kin: false, fast: false });
  const leecher = world.join('leecher', { kin: false, fast: false });
  world.connect(leecher, seeder);
  assert.ok(world.runUntil(() => leecher.isComplete, 10_000) !== undefined);
  assert.ok(leecher.isIntact);
});

test('a seek under full load at 2 MiB/s has its piece within one piece time and a little', () => {
  const world = new TitleWorld({ pieceCount: 400, pieceLengthBytes: MIB, latencyMs: 5 });
  const seeder = world.join('seeder', { holds: 'all', linkUpBytesPerSecond: 2 * MIB });
  const leecher = world.join('leecher');
  world.connect(leecher, seeder);
  world.run(4_000);
  const tooks: number[] = [];
  for (const piece of [300, 200, 380, 50, 250, 120, 333, 77]) {
    leecher.read(piece * MIB + 1000, 500_000);
    const tookMs = world.runUntil(() => leecher.session.has(piece), 5_000);
    assert.ok(tookMs !== undefined);
    tooks.push(tookMs);
    world.run(1_500);
  }
  assert.ok(Math.max(...tooks) <= 700, tooks.join(' '));
});

test('with all that is wanted here a seeder is let go until something else is wanted, and that is said each time', () => {
  const title = new DrivenTitle([0]);
  const want = (...pieces: readonly number[]): readonly TitleEffect[] =>
    title.command({ kind: 'select', ranges: pieces.map((piece) => ({ firstPiece: piece, lastPiece: piece, priority: 2 })) });
  const said = (effects: readonly TitleEffect[]): number[] => [
    eventsOf(effects, 'wanted-complete').length,
    eventsOf(effects, 'wanted-again').length,
  ];
  title.meet('seed');
  for (let time = 0; time < 3; time++) {
    const done = want(0);
    assert.equal(said(done), [1, 0]);
    assert.equal(disconnectsOf(done), ['seed idle: neither side wants anything']);
    assert.equal(disconnectsOf(title.meet('seed')), ['seed idle: neither side wants anything'], 'nor is it wanted when it comes back');
    assert.equal(said(want(0, 1)), [0, 1]);
    assert.equal(said(want(0, 1, 2)), [0, 0]);
    assert.equal(disconnectsOf(title.meet('seed')), []);
  }
});

test('while a reader is still to read what is not here, a seeder is kept, though all that is wanted at the moment is here', () => {
  const HERE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const title = new DrivenTitle(HERE);
  const read = (toByte: number): readonly TitleEffect[] =>
    title.command({ kind: 'need', reader: 'one', fromByte: 0, toByte, bytesPerSecond: 1, isIdle: false });
  title.command({ kind: 'select', ranges: [{ firstPiece: 0, lastPiece: 0, priority: 2 }] });
  assert.equal(disconnectsOf(title.meet('seed')), ['seed idle: neither side wants anything']);
  assert.is(eventsOf(read(title.shape.totalBytes), 'wanted-again').length, 1);
  assert.equal(disconnectsOf(title.meet('seed')), []);
  const near = read(HERE.length * title.shape.pieceLengthBytes);
  assert.is(eventsOf(near, 'wanted-complete').length, 1, 'it reads no further than what is here');
  assert.equal(disconnectsOf(near), ['seed idle: neither side wants anything']);
});

test('a web seed that stood still once is asked again when it has rested', () => {
  const title = new DrivenTitle();
  const fetches = (effects: readonly TitleEffect[]): number =>
    effects.filter((effect) => effect.kind === 'emit' && effect.event.kind === 'fetch').length;
  assert.is(fetches(title.command({ kind: 'web-seed-up', peer: 'seed' })), 1);
  const silent = Array.from({ length: 20 }, () => title.timer('watch', 1_000)).flat();
  assert.ok(silent.some((effect) => effect.kind === 'emit' && effect.event.kind === 'fetch-cancelled'));
  const later = Array.from({ length: 60 }, () => title.timer('watch', 1_000)).flat();
  assert.ok(fetches([...silent, ...later]) >= 2);
});

test('what a web seed lacks is not asked of it, and all else is', () => {
  const title = new DrivenTitle();
  const { pieceLengthBytes, totalBytes } = title.shape;
  const gone = { firstPiece: 0, lastPiece: 2 };
  title.command({ kind: 'web-seed-up', peer: 'seed' });
  let came = 0;
  for (let turn = 0; turn < 200; turn++) {
    const fetches = title.effects
      .splice(0)
      .flatMap((effect) => (effect.kind === 'emit' && effect.event.kind === 'fetch' ? [effect.event] : []));
    for (const { fromByte, toByte } of fetches) {
      if (fromByte < 3 * pieceLengthBytes) title.command({ kind: 'fetch-failed', peer: 'seed', lacks: [gone] });
      else came += deliver(title, fromByte, toByte);
    }
    title.timer('watch', 1_000);
  }
  assert.is(came, totalBytes - 3 * pieceLengthBytes);
});

/** Of a web seed, block by block. @returns how much that is. */
function deliver(title: DrivenTitle, fromByte: number, toByte: number): number {
  const { pieceLengthBytes } = title.shape;
  for (let at = fromByte; at < toByte; at += BLOCK_BYTES) {
    const piece = Math.floor(at / pieceLengthBytes);
    const bytes = new Uint8Array(Math.min(BLOCK_BYTES, toByte - at));
    title.command({ kind: 'fetched', peer: 'seed', piece, offsetBytes: at - piece * pieceLengthBytes, bytes });
  }
  return toByte - fromByte;
}

test.run();
