import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { copyingIntake } from '../../../../src/relay/exchange/intake.js';
import { makeWindow, PIECE_BYTES } from '../../../support/exchange-fixture.js';

test('what is kept does not keep the buffer alive that it came in', () => {
  const packet = new Uint8Array(1_000).fill(7);
  const kept = copyingIntake.keep(packet.subarray(10, 20));
  assert.equal([kept.length, kept.buffer.byteLength], [10, 10]);
  packet.fill(0);
  assert.ok(kept.every((byte) => byte === 7));
});

test('a manifest is kept likewise, and one that makes no sense is told from it', () => {
  const { manifest } = makeWindow(3);
  const packet = new Uint8Array([1, 2, 3, ...manifest.bytes]);
  const kept = copyingIntake.manifest(packet.subarray(3), PIECE_BYTES);
  packet.fill(0);
  assert.ok(!(kept instanceof Malformed));
  assert.equal([kept.number, kept.bytes, kept.pieceHashes], [3, manifest.bytes, manifest.pieceHashes]);
  assert.instance(copyingIntake.manifest(Uint8Array.of(9), PIECE_BYTES), Malformed);
});

test('a window is put together for each peer that keeps copies', () => {
  const { manifest } = makeWindow(3);
  const join = (): Uint8Array => Uint8Array.of(1);
  assert.is.not(copyingIntake.whole(manifest, join), copyingIntake.whole(manifest, join));
});

test.run();
