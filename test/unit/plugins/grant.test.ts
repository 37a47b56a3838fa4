import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { channelId, encodeDescriptor } from '../../../src/ingest/channel.js';
import { nodeHasher } from '../../../src/io/crypto.js';
import { encodeBencode } from '../../../src/kernel/bencode.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { decodeGrant, formatRevocation, GRANT_PREFIX, parseGrant, parseRevocation } from '../../../src/plugins/grant.js';
import { signRevocationList } from '../../../src/relay/exchange/revocation-list.js';
import { OWNER, PUBLISHER, STRANGER } from '../../support/exchange-fixture.js';
import { DESCRIPTOR, makeGrant } from '../../support/grant-fixture.js';

const ID = channelId(encodeDescriptor(DESCRIPTOR), nodeHasher);
const LIST = signRevocationList(5, [{ key: STRANGER.publicKey, sinceMs: 9 }], ID, OWNER);

function reason(parsed: unknown): string {
  assert.instance(parsed, Malformed);
  return (parsed as Malformed).reason;
}

test('a grant survives being copied as one line, and names the channel whose descriptor it holds', () => {
  const trackers = ['http://192.0.2.1:6969/announce', 'udp://192.0.2.1:6969'];
  const { grant, text } = makeGrant({ trackers, peers: ['192.0.2.1:16881', '[2001:db8::1]:5'], revocations: LIST });
  assert.match(text, /^shoal-grant:[A-Za-z0-9_-]+$/);
  assert.equal(parseGrant(` ${text}\n`), grant);
  assert.is(grant.id, ID);
  assert.equal(grant.descriptor, DESCRIPTOR);
  assert.equal([grant.trackers, grant.revocations?.serial, grant.certificate.key], [trackers, 5, PUBLISHER.publicKey]);
});

test('what is no address is left out, and a name cannot disguise itself', () => {
  const { grant } = makeGrant({ name: 'A\u202eB\n', trackers: ['file:///etc/passwd', 'http://t:1/a'], peers: ['nowhere', 'h:1'] });
  assert.equal([grant.name, grant.trackers, grant.peers], ['AB', ['http://t:1/a'], ['h:1']]);
});

test('whatever is wrong is told in words', () => {
  const { text, grant } = makeGrant();
  const fields = { certificate: grant.certificate.bytes, descriptor: grant.descriptorBytes, name: 'x', peers: [], trackers: [] };
  const told = (changes: Readonly<Record<string, unknown>>): string =>
    reason(decodeGrant(encodeBencode({ ...fields, 'shoal-grant': 1, ...changes } as Parameters<typeof encodeBencode>[0])));
  assert.match(reason(parseGrant('hello')), /does not begin with "shoal-grant:"/);
  assert.match(reason(parseGrant(text.slice(0, -20))), /Was it copied whole/);
  assert.match(reason(parseGrant(`${GRANT_PREFIX}***`)), /alphabet/);
  assert.match(told({ 'shoal-grant': 2 }), /another version/);
  assert.match(told({ descriptor: 'de' }), /channel cannot be read/);
  assert.match(told({ certificate: 'x' }), /certificate of 1 bytes/);
  assert.match(told({ revocations: 'x' }), /withdrawn keys cannot be read/);
});

test('a revocation survives being copied, and half of one does not', () => {
  const text = formatRevocation({ id: ID, list: LIST });
  assert.equal(parseRevocation(text), { id: ID, list: LIST });
  assert.match(reason(parseRevocation(text.slice(0, -9))), /Was it copied whole/);
  assert.match(reason(parseRevocation('shoal-grant:AA')), /does not begin with "shoal-revocation:"/);
});

test.run();
