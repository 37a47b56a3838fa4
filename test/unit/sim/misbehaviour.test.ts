import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../src/io/crypto.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { type LiveMessage, liveCodec } from '../../../src/relay/exchange/live-message.js';
import { decodeManifest, WINDOW_DOMAIN } from '../../../src/relay/exchange/manifest.js';
import { type Forgery, HABITS, type HabitName, POLLUTERS, TIME_WASTERS, tamperOf } from '../../../src/sim/misbehaviour.js';
import { authorityAt, CHANNEL, makeWindow, OWNER, PIECE_BYTES, STRANGER } from '../../support/exchange-fixture.js';

const FORGERY: Forgery = { channel: CHANNEL, owner: OWNER, stranger: STRANGER, hasher: nodeHasher };
const MADE = makeWindow(4);
const MESSAGES: readonly LiveMessage[] = [
  { kind: 'piece', window: 4, piece: 0, payload: MADE.pieces[0] as Uint8Array },
  { kind: 'manifest', ageMs: 0, bytes: MADE.manifest.bytes },
  { kind: 'map', full: true, tail: 0, windows: [{ number: 4, pieceCount: 3, key: true, held: null }] },
];

const lies = (habit: HabitName): readonly LiveMessage[] => MESSAGES.flatMap((message) => tamperOf(habit, FORGERY)(message, 'x', 0));

test("every habit is either a polluter's or a time waster's", () => {
  assert.equal([...POLLUTERS, ...TIME_WASTERS].sort(), Object.keys(HABITS).sort());
});

test('every habit changes something, and what it makes can travel', () => {
  for (const habit of Object.keys(HABITS) as HabitName[]) {
    const made = lies(habit);
    assert.not.equal(made, MESSAGES, habit);
    for (const message of made) assert.not.instance(liveCodec.decode(liveCodec.encode(message)), Malformed, habit);
  }
});

test('who lies in its maps, or tells nothing, does not tell the truth in short words', () => {
  const told = (habit: HabitName): number => tamperOf(habit, FORGERY)({ kind: 'have', window: 4, pieces: [1] }, 'x', 0).length;
  const silent = TIME_WASTERS.filter((habit) => told(habit) === 0);
  assert.equal(silent, ['claims to hold everything', 'claims the far future', 'takes and never tells']);
});

test("nothing that a polluter sends passes for the owner's", () => {
  for (const habit of POLLUTERS) {
    const genuine = lies(habit).every((message) => {
      if (message.kind === 'piece') return Buffer.compare(message.payload, MADE.pieces[0] as Uint8Array) === 0;
      const manifest = message.kind === 'manifest' ? decodeManifest(message.bytes, PIECE_BYTES) : undefined;
      return !manifest || (!(manifest instanceof Malformed) && authorityAt().judge(WINDOW_DOMAIN, manifest) === 'valid');
    });
    assert.not(genuine, habit);
  }
});

test.run();
