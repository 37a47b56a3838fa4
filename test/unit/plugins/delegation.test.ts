import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShoalError } from '../../../src/kernel/errors.js';
import { accept, channelNamed, delegate, delegationsOf, listOf, revoke } from '../../../src/plugins/delegation.js';
import { type Grant, parseGrant } from '../../../src/plugins/grant.js';
import { revokedSinceMs } from '../../../src/relay/exchange/revocation-list.js';
import { DAY_MS, WALL_MS } from '../../support/exchange-fixture.js';
import { at, keyOf, makeDesk } from '../../support/grant-fixture.js';

const MINUTE_MS = 60_000;
const STAGE = { slug: 'stage', name: 'Stage', source: 'stage', container: 'flv' } as const;

/** An owner with a channel, and another station. */
function setUp() {
  const owner = makeDesk(1);
  owner.keys.addChannel(STAGE);
  return { owner, other: makeDesk(2) };
}

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.instance(error, ShoalError);
    return (error as ShoalError).message;
  }
  throw new Error('expected a refusal');
}

test('a grant begins ten minutes ago, lasts 30 days, and holds all that the other station needs', () => {
  const { owner, other } = setUp();
  const { grant: text, certificate, remarks } = delegate(owner, 'Stage', keyOf(other), { label: 'Backup' });
  const grant = parseGrant(text) as Grant;
  assert.equal([certificate.fromMs, certificate.untilMs], [WALL_MS - 10 * MINUTE_MS, WALL_MS + 30 * DAY_MS]);
  assert.equal(
    [grant.name, grant.peers, grant.trackers, remarks],
    ['Stage', ['192.0.2.7:16881'], ['http://192.0.2.7:6969/announce', 'udp://192.0.2.7:6969'], []],
  );
  assert.equal(
    delegationsOf(owner.keys, grant.id).map(({ key, label }) => [key, label]),
    [[keyOf(other), 'Backup']],
  );
});

test('declared channels and the test card can be delegated too, by name, address or id', () => {
  const owner = makeDesk(3, ['station.channels=[{"name":"News desk"}]']);
  const { id } = channelNamed(owner, 'news-desk');
  for (const name of ['News desk', 'news-desk', id, 'Test card'])
    assert.match(delegate(owner, name, keyOf(makeDesk(4))).grant, /^shoal-grant:/);
  assert.match(
    refusal(() => channelNamed(owner, 'Nothing')),
    /has no channel "Nothing"; it has "Test card", "News desk"/,
  );
});

test('a person may say how long, and is told what cannot be', () => {
  const { owner, other } = setUp();
  const told = (terms: Parameters<typeof delegate>[3]): string => refusal(() => delegate(owner, 'Stage', keyOf(other), terms));
  assert.is(delegate(owner, 'Stage', keyOf(other), { days: 400 }).certificate.untilMs, WALL_MS + 400 * DAY_MS);
  const dated = delegate(owner, 'Stage', keyOf(other), { from: '2027-02-01', until: '2027-03-01T12:00Z' });
  assert.equal([dated.certificate.fromMs, dated.certificate.untilMs], [Date.UTC(2027, 1, 1), Date.UTC(2027, 2, 1, 12)]);
  assert.match(dated.remarks.join(), /begins at 2027-02-01/);
  assert.match(told({ days: 401 }), /400 days at most/);
  assert.match(told({ days: 3, until: '2027-03-01' }), /not both/);
  assert.match(told({ until: 'soon' }), /expected for example 2027-01-31/);
  assert.match(told({ until: '2001-01-01' }), /would have ended already/);
  assert.match(told({ from: '2027-05-01', until: '2027-04-01' }), /before it begins/);
  assert.match(
    refusal(() => delegate(owner, 'Stage', 'hello')),
    /64 hex digits that "shoal channel show" prints/,
  );
});

test('who does not own a channel cannot delegate or withdraw, and an open channel needs neither', () => {
  const { owner, other } = setUp();
  accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  for (const call of [delegate, revoke]) {
    assert.match(
      refusal(() => call(other, 'Stage', keyOf(owner))),
      /does not own "Stage": the owner's key is/,
    );
  }
  owner.keys.addChannel({ slug: 'all', name: 'All', source: 'all', container: 'flv', open: true });
  assert.match(
    refusal(() => delegate(owner, 'All', keyOf(other))),
    /is open/,
  );
});

test('the other station has the channel with its own stream key, and a new grant renews it', () => {
  const { owner, other } = setUp();
  const accepted = accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  assert.equal([accepted.kind, accepted.slug, accepted.untilMs], ['channel', 'stage', WALL_MS + 30 * DAY_MS]);
  const { id, owned, declared } = channelNamed(other, 'Stage');
  assert.equal([id, owned, declared.source], [channelNamed(owner, 'Stage').id, false, 'push:stage']);
  const later = at(owner, WALL_MS + DAY_MS);
  const renewed = delegate(later, 'Stage', keyOf(other));
  assert.is(accept(at(other, later.nowMs), renewed.grant).kind, 'renewal');
  assert.is(channelNamed(other, 'Stage').declared.grant?.certificate.untilMs, WALL_MS + 31 * DAY_MS);
  assert.is(other.keys.channels().length, 1);
});

test("a grant's window length stands, whatever the station is configured to", () => {
  const owner = makeDesk(5, ['station.testCard=false', 'live.windowMs=800']);
  const other = makeDesk(6);
  owner.keys.addChannel(STAGE);
  accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  assert.is(channelNamed(other, 'Stage').descriptor.windowMs, 800);
});

test('a grant is refused in words: for another key, ended, withdrawn since, older than one here, forged, or not whole', () => {
  const { owner, other } = setUp();
  const grant = delegate(owner, 'Stage', keyOf(other)).grant;
  const told = (text: string, desk = other): string => refusal(() => accept(desk, text));
  assert.match(
    told(grant, makeDesk(7)),
    new RegExp(`is for the publisher key ${keyOf(other)}, and this station's is ${keyOf(makeDesk(7))}`),
  );
  assert.match(
    told(grant, at(other, WALL_MS + 31 * DAY_MS)),
    /it ended at .* Ask the owner for a new one, or set this machine's clock right/,
  );
  assert.match(told(grant.slice(0, -30)), /Was it copied whole/);
  const parsed = parseGrant(grant) as Grant;
  const forger = makeDesk(8);
  forger.keys.addChannel(STAGE);
  const forged = parseGrant(delegate(forger, 'Stage', keyOf(other)).grant) as Grant;
  const mixed = Buffer.from(grant.slice('shoal-grant:'.length), 'base64url');
  mixed.set(forged.certificate.bytes, mixed.indexOf(parsed.certificate.bytes));
  assert.match(told(`shoal-grant:${mixed.toString('base64url')}`), /was not signed by the channel's owner/);
  accept(other, grant);
  const newer = delegate(at(owner, WALL_MS + 5), 'Stage', keyOf(other)).grant;
  accept(other, newer);
  assert.match(told(grant), /has a newer one already/);
  accept(other, revoke(at(owner, WALL_MS + MINUTE_MS), 'Stage', keyOf(other)).notice);
  assert.match(told(newer), /has withdrawn this key since/);
});

test('the name or address may be taken here, and then another one helps', () => {
  const { owner, other } = setUp();
  other.keys.addChannel(STAGE);
  const { grant } = delegate(owner, 'Stage', keyOf(other));
  assert.match(
    refusal(() => accept(other, grant)),
    /call this one otherwise: --name NAME/,
  );
  assert.is(accept(other, grant, 'Stage of others').slug, 'stage-of-others');
});

test('a withdrawn key stands on the list, is taken by every station of the channel, and can be delegated again', () => {
  const { owner, other } = setUp();
  const { id } = channelNamed(owner, 'Stage');
  accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  const revokedMs = WALL_MS + MINUTE_MS;
  const { notice, remarks } = revoke(at(owner, revokedMs), 'Stage', keyOf(other));
  assert.equal(remarks, []);
  assert.is(accept(other, notice).kind, 'revocation');
  assert.is(revokedSinceMs(listOf(other.keys, id), other.publisher.publicKey), revokedMs);
  assert.match(
    refusal(() => delegate(at(owner, revokedMs + 1), 'Stage', keyOf(other), { from: '2026-12-01' })),
    /that key is withdrawn; a new certificate begins at/,
  );
  const again = delegate(at(owner, revokedMs + 1), 'Stage', keyOf(other));
  assert.is(again.certificate.fromMs, revokedMs, 'no earlier than the withdrawal');
  assert.is(accept(at(other, revokedMs + 1), again.grant).kind, 'renewal');
});

test('a certificate that has yet to begin is withdrawn too, and serials grow when the clock does not', () => {
  const { owner, other } = setUp();
  const { certificate } = delegate(owner, 'Stage', keyOf(other), { from: '2027-06-01' });
  const { id } = channelNamed(owner, 'Stage');
  revoke(owner, 'Stage', keyOf(other));
  assert.ok((revokedSinceMs(listOf(owner.keys, id), other.publisher.publicKey) ?? 0) > certificate.fromMs);
  revoke(at(owner, WALL_MS - DAY_MS), 'Stage', 'cd'.repeat(32));
  assert.equal([listOf(owner.keys, id)?.serial, listOf(owner.keys, id)?.entries.length], [WALL_MS + 1, 2]);
});

test('a full list says so, and entries that void nothing any more make room', () => {
  const { owner } = setUp();
  const keyAt = (index: number): string => index.toString(16).padStart(64, '0');
  for (let index = 0; index < 128; index++) revoke(owner, 'Stage', keyAt(index));
  assert.match(
    refusal(() => revoke(owner, 'Stage', keyAt(128))),
    /128 keys of "Stage" are withdrawn/,
  );
  assert.match(revoke(at(owner, WALL_MS + 401 * DAY_MS), 'Stage', keyAt(128)).notice, /^shoal-revocation:/);
});

test('who withdraws an unknown key, or its own, is told', () => {
  const { owner } = setUp();
  assert.match(revoke(owner, 'Stage', 'ef'.repeat(32)).remarks.join(), /had not delegated that key/);
  assert.match(revoke(owner, 'Stage', keyOf(owner)).remarks.join(), /the key of this very station/);
});

test('a revocation of an unknown channel, or by somebody else, is refused', () => {
  const { owner, other } = setUp();
  const { notice } = revoke(owner, 'Stage', 'ef'.repeat(32));
  assert.match(
    refusal(() => accept(other, notice)),
    /which this station does not publish/,
  );
  accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  const bytes = Buffer.from(notice.slice('shoal-revocation:'.length), 'base64url');
  bytes[30] = (bytes[30] ?? 0) ^ 1;
  assert.match(
    refusal(() => accept(other, `shoal-revocation:${bytes.toString('base64url')}`)),
    /not signed by the owner of "Stage"/,
  );
});

test('with ports that nobody knows the grant names nobody, and the owner is told', () => {
  const owner = makeDesk(9, ['station.testCard=false', 'swarm.port=0', 'tracker.port=0']);
  owner.keys.addChannel(STAGE);
  assert.match(delegate(owner, 'Stage', 'ab'.repeat(32)).remarks.join(), /names no tracker and no peer/);
});

test.run();
