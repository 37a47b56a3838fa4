import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../../../src/io/crypto.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import {
  decodeRevocationList,
  isRevoked,
  REVOCATION_LIST_BYTES_MAX,
  REVOCATIONS_MAX,
  revocationListIsSigned,
  revokedSinceMs,
  signRevocationList,
} from '../../../../src/relay/exchange/revocation-list.js';
import { CERTIFICATE, CHANNEL, certify, OWNER, PUBLISHER, STRANGER, WALL_MS } from '../../../support/exchange-fixture.js';

const moment = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const entry = fc.record({ key: fc.uint8Array({ minLength: 32, maxLength: 32 }), sinceMs: moment }, { noNullPrototype: true });
const LIST = signRevocationList(7, [{ key: PUBLISHER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER);

test('a list survives travelling, and carries the signature of the owner', () => {
  fc.assert(
    fc.property(moment, fc.array(entry, { maxLength: REVOCATIONS_MAX }), (serial, entries) => {
      const list = signRevocationList(serial, entries, CHANNEL, OWNER);
      assert.ok(list.bytes.length <= REVOCATION_LIST_BYTES_MAX);
      assert.equal(decodeRevocationList(list.bytes), list);
      assert.ok(revocationListIsSigned(list, CHANNEL, OWNER.publicKey, nodeVerifier));
    }),
    { numRuns: 30 },
  );
});

test('it is good for this owner, this channel and these bytes only', () => {
  assert.not(revocationListIsSigned(LIST, CHANNEL, STRANGER.publicKey, nodeVerifier));
  assert.not(revocationListIsSigned(LIST, CHANNEL.replace('c', 'd'), OWNER.publicKey, nodeVerifier));
  for (const at of [3, 8, 44, LIST.bytes.length - 1]) {
    const bytes = LIST.bytes.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const changed = decodeRevocationList(bytes);
    assert.ok(!(changed instanceof Malformed) && !revocationListIsSigned(changed, CHANNEL, OWNER.publicKey, nodeVerifier), `byte ${at}`);
  }
});

test('half an entry, another version, no signature and too many entries are malformed', () => {
  assert.instance(decodeRevocationList(LIST.bytes.subarray(0, -1)), Malformed);
  assert.instance(decodeRevocationList(LIST.bytes.slice().fill(2, 0, 1)), Malformed);
  assert.instance(decodeRevocationList(Uint8Array.of(1, 0, 0, 0, 0, 0, 0)), Malformed);
  assert.instance(decodeRevocationList(new Uint8Array()), Malformed);
  const many = new Uint8Array(REVOCATION_LIST_BYTES_MAX + 38).fill(1, 0, 1);
  assert.instance(decodeRevocationList(many), Malformed);
  assert.throws(() => signRevocationList(1, new Array(REVOCATIONS_MAX + 1).fill(LIST.entries[0]), CHANNEL, OWNER), /128 entries/);
});

test('certificates of a key are void that begin before the moment on the list, and no others', () => {
  assert.ok(isRevoked(LIST, CERTIFICATE));
  assert.not(isRevoked(LIST, certify({ fromMs: WALL_MS })));
  assert.not(isRevoked(LIST, certify({ key: STRANGER.publicKey })));
  assert.not(isRevoked(undefined, CERTIFICATE));
  const twice = signRevocationList(8, [...LIST.entries, { key: PUBLISHER.publicKey, sinceMs: WALL_MS + 5 }], CHANNEL, OWNER);
  assert.is(revokedSinceMs(twice, PUBLISHER.publicKey), WALL_MS + 5);
  assert.is(revokedSinceMs(twice, STRANGER.publicKey), undefined);
});

test.run();
