import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { WINDOW_DOMAIN } from '../../../../src/relay/exchange/manifest.js';
import { decodeStreamInfo, INFO_DOMAIN, METADATA_BYTES_MAX, signStreamInfo } from '../../../../src/relay/exchange/stream-info.js';
import { authorityAt, CERTIFICATE, CHANNEL, OWNER, PUBLISHER, STRANGER } from '../../../support/exchange-fixture.js';

test('stream info survives travelling, and carries the signature of its owner, or of whom the owner delegated', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.uint8Array({ maxLength: 300 }), (since, metadata) => {
      const info = signStreamInfo(since, metadata, CHANNEL, OWNER);
      assert.equal(decodeStreamInfo(info.bytes), info);
      assert.is(authorityAt().judge(INFO_DOMAIN, info), 'valid');
      assert.is(authorityAt().judge(INFO_DOMAIN, signStreamInfo(since, metadata, CHANNEL, STRANGER)), 'foreign');
      assert.is(authorityAt().judge(INFO_DOMAIN, signStreamInfo(since, metadata, CHANNEL.replace('c', 'd'), OWNER)), 'foreign');
      const delegated = signStreamInfo(since, metadata, CHANNEL, PUBLISHER, CERTIFICATE);
      assert.equal(decodeStreamInfo(delegated.bytes), delegated);
      assert.is(authorityAt().judge(INFO_DOMAIN, delegated), 'valid');
    }),
    { numRuns: 50 },
  );
});

test("a manifest's signature is not good for stream info of the same bytes", () => {
  const info = signStreamInfo(1, Uint8Array.of(1, 2, 3), CHANNEL, OWNER);
  const tampered = { ...info, bytes: info.bytes.slice().fill(9, 6, 7) };
  assert.is(authorityAt().judge(INFO_DOMAIN, tampered), 'foreign');
  assert.is(authorityAt().judge(WINDOW_DOMAIN, info), 'foreign');
});

test('a delegated info without room for its certificate is malformed', () => {
  const bytes = signStreamInfo(1, new Uint8Array(), CHANNEL, OWNER).bytes.slice();
  bytes[1] = 1;
  assert.instance(decodeStreamInfo(bytes), Malformed);
});

test('another version, a missing signature and too much metadata are malformed', () => {
  const good = signStreamInfo(1, new Uint8Array(METADATA_BYTES_MAX), CHANNEL, OWNER).bytes;
  assert.not.instance(decodeStreamInfo(good), Malformed);
  assert.instance(decodeStreamInfo(signStreamInfo(1, new Uint8Array(METADATA_BYTES_MAX + 1), CHANNEL, OWNER).bytes), Malformed);
  assert.instance(decodeStreamInfo(good.slice().fill(2, 0, 1)), Malformed);
  assert.instance(decodeStreamInfo(good.subarray(0, 69)), Malformed);
  assert.instance(decodeStreamInfo(new Uint8Array()), Malformed);
});

test.run();
