import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher, nodeVerifier } from '../../../../src/io/crypto.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { Rng } from '../../../../src/kernel/rng.js';
import { mendAsf } from '../../../../src/media/asf-mending.js';
import { decodeOrigin, encodeOrigin, exchangeOptions } from '../../../../src/relay/trace/trace-origin.js';
import { ORIGIN } from '../../../support/recorded-viewer.js';

function refused(change: Readonly<Record<string, unknown>>): string {
  const plain = { ...JSON.parse(new TextDecoder().decode(encodeOrigin(ORIGIN))), ...change };
  const origin = decodeOrigin(new TextEncoder().encode(JSON.stringify(plain)));
  return origin instanceof Malformed ? origin.reason : 'taken';
}

test('what a core was built from comes back, a parameter without bound included', () => {
  const origin = { ...ORIGIN, parameters: { ...ORIGIN.parameters, hedge: Number.POSITIVE_INFINITY } };
  assert.equal(decodeOrigin(encodeOrigin(origin)), origin);
});

test('it is refused with what is wrong and what would be right', () => {
  assert.is(refused({}), 'taken');
  assert.is(refused({ liveVersion: '2' }), 'liveVersion: expected a number, got "2"');
  assert.is(refused({ channel: 'xyz' }), 'channel: expected 40 hex digits, got "xyz"');
  assert.is(refused({ owner: 7 }), 'owner: expected 64 hex digits, got 7');
  assert.is(refused({ container: 'ogg' }), 'container: expected "flv" or "asf", got "ogg"');
  assert.is(refused({ rngSeed: 2 ** 32 }), 'rngSeed: expected a whole number below 2^32, got 4294967296');
  assert.is(refused({ upBytesPerSecond: -1 }), 'upBytesPerSecond: expected a number from 0, got -1');
  assert.is(refused({ parameters: { tickMs: 'soon' } }), 'parameters.tickMs: expected a number, got "soon"');
  assert.is(refused({ parameters: { bufferWindows: 1e12 } }), 'parameters.bufferWindows: expected 1 to 1024, got 1000000000000');
  assert.is(refused({ parameters: null }), 'parameters: expected numbers by name, got null');
  assert.instance(decodeOrigin(new TextEncoder().encode('{')), Malformed);
  assert.instance(decodeOrigin(new TextEncoder().encode('7')), Malformed);
});

test('cores of one origin draw the same numbers and know the same limits', () => {
  const ports = { hasher: nodeHasher, verifier: nodeVerifier, wallClockMs: () => 5 };
  const options = exchangeOptions({ ...ORIGIN, container: 'asf' }, ports);
  assert.is(options.rng.uint32(), new Rng(ORIGIN.rngSeed).uint32());
  assert.is(options.uplink.bytesPerSecond, ORIGIN.upBytesPerSecond);
  assert.is(options.mend, mendAsf);
  assert.is(options.signer, undefined);
});

test.run();
