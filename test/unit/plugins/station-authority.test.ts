import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CERTIFICATE_MS, StationAuthority, type StationAuthorityOptions } from '../../../src/plugins/station-authority.js';
import type { Certificate } from '../../../src/relay/exchange/certificate.js';
import { signRevocationList } from '../../../src/relay/exchange/revocation-list.js';
import { CERTIFICATE, CHANNEL, certify, DAY_MS, OWNER, PUBLISHER, WALL_MS } from '../../support/exchange-fixture.js';
import { MemoryLog } from '../../support/memory-log.js';

const KEY = Buffer.from(PUBLISHER.publicKey).toString('hex');

function setUp(overrides: Partial<StationAuthorityOptions> = {}) {
  const log = new MemoryLog();
  const authority = new StationAuthority({
    channel: CHANNEL,
    name: 'Stage',
    publisher: PUBLISHER,
    owner: null,
    open: false,
    log,
    ...overrides,
  });
  const look = (nowMs: number, granted: Certificate | null = CERTIFICATE, revokedMs?: number): string => {
    const entries = revokedMs === undefined ? [] : [{ key: PUBLISHER.publicKey, sinceMs: revokedMs }];
    authority.update({
      nowMs,
      granted,
      list: revokedMs === undefined ? undefined : signRevocationList(revokedMs, entries, CHANNEL, OWNER),
    });
    return authority.status.authority;
  };
  return { log, authority, look };
}

test('an owner delegates to itself for 30 days, and renews that at half its life', () => {
  const { authority, look, log } = setUp({ owner: OWNER });
  assert.is(look(WALL_MS, null), 'owner');
  const first = authority.certificate;
  assert.equal([first?.key, first?.untilMs], [PUBLISHER.publicKey, WALL_MS + CERTIFICATE_MS]);
  assert.not(authority.update({ nowMs: WALL_MS + 14 * DAY_MS, granted: null, list: undefined }));
  assert.is(authority.certificate, first);
  assert.ok(authority.update({ nowMs: WALL_MS + 15 * DAY_MS, granted: null, list: undefined }));
  assert.is(authority.certificate?.untilMs, WALL_MS + 45 * DAY_MS);
  assert.equal(log.lines, []);
});

test('an owner whose clock was set back delegates anew', () => {
  const { authority, look } = setUp({ owner: OWNER });
  look(WALL_MS, null);
  assert.is(look(WALL_MS - 9 * DAY_MS, null), 'owner');
  assert.ok((authority.certificate?.fromMs ?? 0) < WALL_MS - 9 * DAY_MS);
});

test('an owner whose own key is withdrawn does not help itself; a grant for it does', () => {
  const { look, authority } = setUp({ owner: OWNER });
  look(WALL_MS, null);
  assert.is(look(WALL_MS + 5, null, WALL_MS + 5), 'withdrawn');
  assert.not(authority.mayPublish);
  const again = certify({ fromMs: WALL_MS + 5 });
  assert.is(look(WALL_MS + 9, again, WALL_MS + 5), 'owner');
  const fresh = setUp({ owner: OWNER });
  assert.is(fresh.look(WALL_MS + 9, null, WALL_MS + 5), 'withdrawn', 'nor after a restart');
});

test('a grant holds from its beginning to its end; each change is told once, with what to do', () => {
  const { look, log, authority } = setUp();
  assert.is(look(CERTIFICATE.fromMs - 1), 'none');
  assert.is(look(CERTIFICATE.fromMs), 'delegated');
  assert.ok(authority.mayPublish);
  assert.is(look(CERTIFICATE.untilMs), 'expired');
  look(CERTIFICATE.untilMs + 1);
  assert.not(authority.mayPublish);
  assert.is(log.complaints.filter((line) => line.includes('does not publish "Stage"')).length, 2);
  assert.match(
    log.complaints.at(-1) ?? '',
    new RegExp(`certificate ended at .*shoal channel delegate "Stage" ${KEY} {3}Then here: shoal channel accept`),
  );
  assert.is(look(CERTIFICATE.untilMs + 2, certify({ untilMs: WALL_MS + 99 * DAY_MS })), 'delegated');
  assert.match(log.lines.at(-1)?.message ?? '', /may publish "Stage" again/);
});

test('a day before the end a warning comes, once for each certificate', () => {
  const { look, log } = setUp();
  const grant = certify({ untilMs: WALL_MS + 3 * DAY_MS });
  for (const day of [0, 1.9, 2.1, 2.5]) look(WALL_MS + day * DAY_MS, grant);
  assert.is(log.complaints.length, 1);
  assert.match(log.complaints[0] ?? '', /the right of this station to publish "Stage" ends at/);
  for (const day of [2.6, 3.5, 4.5]) look(WALL_MS + day * DAY_MS, certify({ untilMs: WALL_MS + 5 * DAY_MS }));
  assert.is(log.complaints.length, 2);
});

test('a withdrawn grant is told, and a station without any says what it needs', () => {
  const { look, log } = setUp();
  look(WALL_MS);
  assert.is(look(WALL_MS, CERTIFICATE, WALL_MS), 'withdrawn');
  assert.match(log.complaints.join(), /the owner has withdrawn its key\. The owner can run/);
  const bare = setUp();
  assert.is(bare.look(WALL_MS, null), 'none');
  assert.match(bare.log.complaints.join(), /it has no certificate/);
});

test('the status tells the key and the end; an open channel has neither', () => {
  const { look, authority } = setUp();
  look(WALL_MS);
  assert.equal(authority.status, {
    authority: 'delegated',
    publisherKey: KEY,
    certificateUntil: new Date(CERTIFICATE.untilMs).toISOString(),
  });
  const open = setUp({ open: true });
  open.look(WALL_MS, null);
  assert.equal(open.authority.status, { authority: 'owner', publisherKey: null, certificateUntil: null });
});

test.run();
