import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../../../src/vod/block.js';
import type { PeerMessage } from '../../../../src/vod/peer-message.js';
import { type NodeOptions, type TitleNode, TitleWorld } from '../../../support/title-world.js';

const PIECE_BYTES = 16 * BLOCK_BYTES;
const LINE_BYTES_PER_SECOND = 40_000;

function spoilt(message: PeerMessage): PeerMessage {
  if (message.kind !== 'piece') return message;
  const bytes = message.bytes.slice();
  bytes[bytes.length - 1] = 255 - (bytes.at(-1) ?? 0);
  return { ...message, bytes };
}

/** A viewer of so many seeders, of which those with these numbers spoil everything they send. */
function watch(
  seeders: number,
  spoilers: readonly number[],
  more: NodeOptions = {},
): { readonly world: TitleWorld; readonly viewer: TitleNode } {
  const world = new TitleWorld({ seed: 3, pieceCount: 24, pieceLengthBytes: PIECE_BYTES, latencyMs: 15 });
  const nodes = Array.from({ length: seeders }, (_, index) =>
    world.join(`seeder ${index}`, {
      holds: 'all',
      linkUpBytesPerSecond: LINE_BYTES_PER_SECOND,
      ...(spoilers.includes(index) ? { tamper: spoilt } : {}),
    }),
  );
  const viewer = world.join('viewer', more);
  for (const node of nodes) world.connect(viewer, node);
  viewer.read(0, 300_000);
  return { world, viewer };
}

function banned(viewer: TitleNode): string[] {
  return viewer.disconnects
    .filter(({ reason }) => reason.kind === 'misbehaved')
    .map(({ name }) => name)
    .sort();
}

test('one of ten that spoils is found within seconds, little is wasted, and nobody else is blamed', () => {
  const { world, viewer } = watch(10, [4]);
  assert.ok(world.runUntil(() => banned(viewer).length > 0, 8_000) !== undefined, 'it is found');
  assert.ok(world.runUntil(() => viewer.isComplete, 60_000) !== undefined, 'the title comes');
  assert.equal(banned(viewer), ['seeder 4']);
  assert.ok(viewer.isIntact);
  const { wastedBytes, badPieces } = viewer.session.figures();
  assert.ok(wastedBytes <= 3 * PIECE_BYTES, `${wastedBytes / BLOCK_BYTES} blocks, ${badPieces} bad pieces`);
});

test('three of ten that spoil are all found, and nobody else', () => {
  const { world, viewer } = watch(10, [0, 5, 9]);
  assert.ok(world.runUntil(() => viewer.isComplete, 120_000) !== undefined);
  assert.equal(banned(viewer), ['seeder 0', 'seeder 5', 'seeder 9']);
  assert.ok(viewer.isIntact);
});

test('of two the one that spoils is found', () => {
  const { world, viewer } = watch(2, [1]);
  assert.ok(world.runUntil(() => viewer.isComplete, 240_000) !== undefined);
  assert.equal(banned(viewer), ['seeder 1']);
});

test('when all spoil, no piece is taken for good and each is found in the end', () => {
  const { world, viewer } = watch(3, [0, 1, 2]);
  world.run(120_000);
  assert.is(viewer.session.figures().piecesHere, 0);
  assert.ok(viewer.isIntact);
});

test('the only seeder that spoils is convicted by its first piece', () => {
  const { world, viewer } = watch(1, [0]);
  world.runUntil(() => banned(viewer).length > 0, 30_000);
  assert.equal(banned(viewer), ['seeder 0']);
  assert.is(viewer.session.figures().badPieces, 1);
});

test('whoever leaves after it has spoilt a piece is told of all the same', () => {
  const { world, viewer } = watch(6, [2]);
  world.runUntil(() => viewer.session.figures().badPieces > 0, 10_000);
  const spoiler = world.nodes.find(({ name }) => name === 'seeder 2');
  if (spoiler !== undefined) world.kill(spoiler);
  assert.ok(world.runUntil(() => viewer.isComplete, 120_000) !== undefined);
  const offences = viewer.events.filter(({ kind }) => kind === 'offence');
  assert.is(offences.length, 1);
  assert.equal(banned(viewer), []);
});

test.run();
