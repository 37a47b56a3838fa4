/** The frame guard hands on whole, allowed frames however the bytes are cut, and turns everything else away early. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FrameGuard, type FrameRules, LIVE_FRAME_RULES } from '../../../../src/io/peers/frame-guard.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { extendedFrame, frame, handshakeBytes, hex, INFO_HASH } from '../../../support/swarm-fixture.js';

const HANDSHAKE = handshakeBytes(INFO_HASH, 'ab'.repeat(20));
const KEEP_ALIVE = new Uint8Array(4);

function greeted(rules: FrameRules = LIVE_FRAME_RULES): FrameGuard {
  const guard = new FrameGuard(rules);
  guard.push(HANDSHAKE);
  return guard;
}

function frames(result: Uint8Array[] | Malformed): string[] {
  if (result instanceof Malformed) throw new Error(result.reason);
  return result.map(hex);
}

function reason(result: Uint8Array[] | Malformed): string {
  return result instanceof Malformed ? result.reason : 'accepted';
}

function prefix(length: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

test('the handshake is handed on as one frame of 68 bytes, and what follows it as messages', () => {
  const guard = new FrameGuard();
  assert.equal(frames(guard.push(HANDSHAKE.subarray(0, 67))), []);
  assert.not.ok(guard.handshakeDone);
  const rest = Buffer.concat([HANDSHAKE.subarray(67), frame(2)]);
  assert.equal(frames(guard.push(rest)), [hex(HANDSHAKE), hex(frame(2))]);
  assert.ok(guard.handshakeDone);
});

test('another protocol is turned away at its first wrong byte', () => {
  assert.match(reason(new FrameGuard().push(Uint8Array.of(20))), 'does not speak');
  assert.match(reason(new FrameGuard().push(Buffer.from('\u0013BitTorrent protocoL'))), 'does not speak');
  assert.is(reason(new FrameGuard().push(Buffer.from('\u0013BitTor'))), 'accepted');
});

test('any cut of the stream gives the same frames', () => {
  const messages = [extendedFrame(1, new Uint8Array(10_000).fill(7)), frame(0), extendedFrame(3, Uint8Array.of(1)), frame(3)];
  const whole = Buffer.concat([HANDSHAKE, KEEP_ALIVE, ...messages]);
  for (const cut of [1, 2, 3, 5, 68, 71, 997, 4096]) {
    const guard = new FrameGuard();
    const got: string[] = [];
    for (let i = 0; i < whole.length; i += cut) got.push(...frames(guard.push(whole.subarray(i, i + cut))));
    assert.equal(got, [HANDSHAKE, ...messages].map(hex), `cut into ${cut}`);
    assert.is(guard.frameCount, 6);
  }
});

test('lengths are unsigned and capped before anything is kept', () => {
  for (const length of [1_048_577, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.match(reason(greeted().push(prefix(length))), `message of ${length} bytes`);
    const inParts = greeted();
    inParts.push(prefix(length).subarray(0, 3));
    assert.match(reason(inParts.push(prefix(length).subarray(3))), `message of ${length} bytes`);
  }
  assert.is(reason(greeted().push(prefix(1_048_576))), 'accepted');
});

test('a disallowed id is turned away before its body has come', () => {
  assert.match(reason(greeted().push(Buffer.concat([prefix(100_000), Uint8Array.of(5)]))), 'message id 5');
  const inParts = greeted();
  inParts.push(prefix(100_000));
  assert.match(reason(inParts.push(Uint8Array.of(7))), 'message id 7');
  assert.match(reason(greeted().push(frame(2, new Uint8Array(1)))), 'expected 1 to 1');
});

test('keep-alives and tolerated messages count as signs of life but are not handed on', () => {
  const guard = greeted();
  const tolerated = [KEEP_ALIVE, frame(9, new Uint8Array(2)), frame(14), frame(15), frame(17, new Uint8Array(4))];
  assert.equal(frames(guard.push(Buffer.concat([...tolerated, frame(1)]))), [hex(frame(1))]);
  assert.is(guard.frameCount, 7);
  guard.push(prefix(50));
  guard.push(Uint8Array.of(20));
  assert.is(guard.frameCount, 7);
});

test('a swarm with other rules lets other messages through', () => {
  const rules: FrameRules = new Map([[5, { leastBytes: 1, mostBytes: 11 }]]);
  assert.is(reason(greeted(rules).push(frame(5, new Uint8Array(10)))), 'accepted');
  assert.match(reason(greeted(rules).push(frame(5, new Uint8Array(11)))), 'expected 1 to 11');
  assert.match(reason(greeted(rules).push(frame(2))), 'message id 2');
});

test('after the first fault nothing is accepted any more', () => {
  const guard = greeted();
  const first = guard.push(frame(99));
  assert.is(guard.push(frame(2)), first);
});

test('a message of 1 MiB in one-byte chunks costs time in proportion to its length', () => {
  const guard = greeted();
  const message = extendedFrame(1, new Uint8Array(1_048_000));
  const startedMs = performance.now();
  let frameCount = 0;
  for (let i = 0; i < message.length; i++) frameCount += frames(guard.push(message.subarray(i, i + 1))).length;
  assert.is(frameCount, 1);
  // Copying all of it again for each chunk would be half a terabyte.
  assert.ok(performance.now() - startedMs < 3_000);
});

test.run();
