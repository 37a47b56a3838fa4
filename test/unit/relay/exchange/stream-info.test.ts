import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../../../src/io/crypto.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { decodeStreamInfo, METADATA_BYTES_MAX, signStreamInfo, streamInfoIsSigned } from '../../../../src/relay/exchange/stream-info.js';
import { CHANNEL, OWNER, STRANGER } from '../../../support/exchange-fixture.js';

test('stream info survives travelling, and carries the signature of its owner', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.uint8Array({ maxLength: 300 }), (since, metadata) => {
      const info = signStreamInfo(since, metadata, CHANNEL, OWNER);
      assert.equal(decodeStreamInfo(info.bytes), info);
      assert.ok(streamInfoIsSigned(info, CHANNEL, OWNER.publicKey, nodeVerifier));
      assert.not(streamInfoIsSigned(info, CHANNEL, STRANGER.publicKey, nodeVerifier));
      assert.not(streamInfoIsSigned(info, CHANNEL.replace('c', 'd'), OWNER.publicKey, nodeVerifier));
    }),
    { numRuns: 50 },
  );
});

test("a manifest's signature is not good for stream info of the same bytes", () => {
  const info = signStreamInfo(1, Uint8Array.of(1, 2, 3), CHANNEL, OWNER);
  const tampered = { ...info, bytes: info.bytes.slice().fill(9, 5, 6) };
  assert.not(streamInfoIsSigned(tampered, CHANNEL, OWNER.publicKey, nodeVerifier));
});

test('another version, a missing signature and too much metadata are malformed', () => {
  const good = signStreamInfo(1, new Uint8Array(METADATA_BYTES_MAX), CHANNEL, OWNER).bytes;
  assert.not.instance(decodeStreamInfo(good), Malformed);
  assert.instance(decodeStreamInfo(signStreamInfo(1, new Uint8Array(METADATA_BYTES_MAX + 1), CHANNEL, OWNER).bytes), Malformed);
  assert.instance(decodeStreamInfo(good.slice().fill(2, 0, 1)), Malformed);
  assert.instance(decodeStreamInfo(good.subarray(0, 68)), Malformed);
  assert.instance(decodeStreamInfo(new Uint8Array()), Malformed);
});

test.run();
