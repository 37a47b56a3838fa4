import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../../src/io/crypto.js';
import type { LiveEffect } from '../../../../src/relay/exchange/live-protocol.js';
import { encodeEffect, wordsOfEffect } from '../../../../src/relay/trace/trace-effect.js';

const EFFECTS: readonly (readonly [LiveEffect, string])[] = [
  [
    { kind: 'send', to: 'c2', message: { kind: 'request', window: 9, pieces: [0], wantManifest: true, patienceMs: 400 } },
    'send to c2: request {window: 9, wantManifest: true, patienceMs: 400, pieces: [0]}',
  ],
  [{ kind: 'schedule', timer: 'request:9:0', delayMs: 312.5 }, 'schedule request:9:0 in 312.5 ms'],
  [{ kind: 'cancel', timer: 'request:9:0' }, 'cancel request:9:0'],
  [{ kind: 'connect', want: 8 }, 'connect: 8 wanted'],
  [{ kind: 'disconnect', peer: 'c2', reason: { kind: 'silent', detail: 'nothing heard' } }, 'disconnect c2: silent: nothing heard'],
  [{ kind: 'emit', event: { kind: 'skipped', from: 3, to: 5 } }, 'emit {kind: "skipped", from: 3, to: 5}'],
];
const encoded = (effect: LiveEffect): Uint8Array => encodeEffect(effect, (peer) => Number(peer.slice(1)), nodeHasher);
const piece = (payload: Uint8Array): LiveEffect => ({ kind: 'send', to: 'c2', message: { kind: 'piece', window: 9, piece: 1, payload } });

test('the bytes of every effect say it again', () => {
  for (const [effect, words] of EFFECTS) assert.is(wordsOfEffect(encoded(effect)), words);
});

test('of a long message there are length, beginning and digest', () => {
  const bytes = encoded(piece(new Uint8Array(16_384)));
  assert.is(bytes.length, 57);
  assert.match(wordsOfEffect(bytes), /^send to c2: 16391 bytes, SHA-256 [0-9a-f]{32}…, beginning piece \{window: 9, piece: 1, /);
});

test('one bit far inside a payload or an event makes another effect', () => {
  const [one, other] = [new Uint8Array(16_384), new Uint8Array(16_384).fill(1, 9_000, 9_001)];
  assert.not.equal(encoded(piece(one)), encoded(piece(other)));
  const event = (metadata: Uint8Array): LiveEffect => ({ kind: 'emit', event: { kind: 'metadata', metadata } });
  assert.not.equal(encoded(event(one)), encoded(event(other)));
  assert.equal(encoded(event(one)), encoded(event(one.slice())));
});

test('bytes that are no effect have words too', () => {
  for (const bytes of [[], [99, 1], [0], [0, 0, 0, 0, 1, 0, 0, 0, 1, 99]]) assert.type(wordsOfEffect(Uint8Array.from(bytes)), 'string');
});

test.run();
