/** A film out of ten seeders of which three stand still for half a minute and one spoils what it sends, in virtual time (`bench/vod-stalls.ts` is the same in earnest). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PeerMessage } from '../../src/vod/peer-message.js';
import { type TitleNode, TitleWorld } from '../support/title-world.js';

/** 2.5 Mbit/s. */
const BYTES_PER_SECOND = 312_500;
const SUPPLY = 1.2;
const PIECE_BYTES = 262_144;
const FILM_S = 180;
const FREEZE_MS = 30_000;
const START_BUFFER_MS = 2_000;
const READ_AHEAD_MS = 10_000;
const STEP_MS = 50;

interface Played {
  readonly stalls: number;
  readonly startUpMs: number;
  readonly duplicateRatio: number;
  readonly wastedRatio: number;
  readonly offences: readonly string[];
}

/** The last byte of every block is wrong. */
function spoilt(message: PeerMessage): PeerMessage {
  if (message.kind !== 'piece') return message;
  const bytes = message.bytes.slice();
  bytes[bytes.length - 1] = 255 - (bytes.at(-1) ?? 0);
  return { ...message, bytes };
}

function readableTo(viewer: TitleNode, fromByte: number, totalBytes: number): number {
  let piece = Math.floor(fromByte / PIECE_BYTES);
  while (viewer.session.has(piece)) piece += 1;
  return Math.max(fromByte, Math.min(totalBytes, piece * PIECE_BYTES));
}

function play(seed: number, freezeAtMs: number, lines: { readonly seeder: number; readonly viewer: number }): Played {
  const pieceCount = Math.ceil((FILM_S * BYTES_PER_SECOND) / PIECE_BYTES);
  const world = new TitleWorld({ seed, pieceCount, pieceLengthBytes: PIECE_BYTES, latencyMs: 15 });
  const { totalBytes } = world.shape;
  const seeders = Array.from({ length: 10 }, (_, index) =>
    world.join(`seeder ${index}`, {
      holds: 'all',
      kin: false,
      linkUpBytesPerSecond: lines.seeder,
      ...(index === 0 ? { tamper: spoilt } : {}),
    }),
  );
  const viewer = world.join('viewer', { linkDownBytesPerSecond: lines.viewer });
  for (const seeder of seeders) world.connect(viewer, seeder);
  let [readByte, shownByte, stalls, startUpMs] = [0, 0, 0, Number.NaN];
  let isShowing = false;
  viewer.read(0, BYTES_PER_SECOND);
  for (let atMs = 0; shownByte < totalBytes && atMs < 3 * FILM_S * 1_000; atMs += STEP_MS) {
    for (const frozen of seeders.slice(-3)) frozen.host.frozen = atMs >= freezeAtMs && atMs < freezeAtMs + FREEZE_MS;
    world.run(STEP_MS);
    const reach = Math.min(readableTo(viewer, readByte, totalBytes), shownByte + (READ_AHEAD_MS * BYTES_PER_SECOND) / 1_000);
    if (reach > readByte) viewer.read(reach, BYTES_PER_SECOND);
    readByte = Math.max(readByte, reach);
    const isWhole = readByte >= totalBytes;
    if (!isShowing && !isWhole && readByte - shownByte < (START_BUFFER_MS * BYTES_PER_SECOND) / 1_000) continue;
    if (Number.isNaN(startUpMs)) startUpMs = atMs;
    isShowing = true;
    shownByte = Math.min(readByte, shownByte + (STEP_MS * BYTES_PER_SECOND) / 1_000);
    if (shownByte < readByte || isWhole) continue;
    isShowing = false;
    stalls += 1;
  }
  const figures = viewer.session.figures();
  const offences = viewer.disconnects.filter(({ reason }) => reason.kind === 'misbehaved').map(({ name }) => name);
  assert.ok(viewer.isIntact);
  for (const node of world.nodes) node.engine.stop();
  return {
    stalls,
    startUpMs,
    duplicateRatio: figures.duplicateBytes / totalBytes,
    wastedRatio: figures.wastedBytes / totalBytes,
    offences,
  };
}

function check(played: Played, what: string): void {
  assert.is(played.stalls, 0, `${what}: ${JSON.stringify(played)}`);
  assert.ok(played.duplicateRatio <= 0.03, `${what}: ${JSON.stringify(played)}`);
  assert.equal(played.offences, ['seeder 0'], what);
}

test('a line of 1.2 times the bit rate never stalls while three of ten seeders stand still and one sends bad data', () => {
  for (const seed of [1, 2]) {
    check(play(seed, 20_000, { seeder: BYTES_PER_SECOND / 2, viewer: SUPPLY * BYTES_PER_SECOND }), `seed ${seed}`);
  }
});

test('nor do ten seeders of 0.12 times the bit rate each, when there was time to fetch ahead', () => {
  check(play(1, 140_000, { seeder: (SUPPLY / 10) * BYTES_PER_SECOND, viewer: 0 }), 'ten lines');
});

test.run();
