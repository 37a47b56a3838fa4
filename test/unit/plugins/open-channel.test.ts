/** What holds an open channel together: everybody who knows its descriptor signs alike. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeDescriptor } from '../../../src/ingest/channel.js';
import { nodeVerifier } from '../../../src/io/crypto.js';
import { openSigner } from '../../../src/plugins/open-channel.js';

const descriptor = (source: string): Uint8Array =>
  encodeDescriptor({ container: 'asf', source, windowMs: 500, pieceBytes: 16_384, owner: null });

test('two who know one descriptor sign with one key, and another channel has another', () => {
  const one = openSigner(descriptor('mms://host/path'));
  const other = openSigner(descriptor('mms://host/path'));
  const bytes = new TextEncoder().encode('a window');
  assert.equal(one.publicKey, other.publicKey);
  assert.ok(nodeVerifier.verify(other.publicKey, bytes, one.sign(bytes)));
  assert.not.equal(openSigner(descriptor('mms://host/else')).publicKey, one.publicKey);
});

test.run();
