import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { channelAccount, channelAccountLines, stationAccount, stationAccountLines } from '../../../src/plugins/channel-account.js';
import { accept, delegate, revoke } from '../../../src/plugins/delegation.js';
import { DAY_MS, WALL_MS } from '../../support/exchange-fixture.js';
import { at, keyOf, makeDesk } from '../../support/grant-fixture.js';

const STAGE = { slug: 'stage', name: 'Stage', source: 'stage', container: 'flv' } as const;
const FIRST = 'a1'.repeat(32);
const SECOND = 'b2'.repeat(32);

test('the station tells its publisher key and its channels', () => {
  const desk = makeDesk(21);
  assert.match(stationAccountLines(stationAccount(desk)).join('\n'), /There is no channel yet/);
  desk.keys.addChannel(STAGE);
  const account = stationAccount(desk);
  assert.equal([account.publisherKey, account.channels.map(({ name, right }) => [name, right])], [keyOf(desk), [['Stage', 'owner']]]);
  assert.match(stationAccountLines(account).join('\n'), new RegExp(`${keyOf(desk)}\nStage {3}[0-9a-f]{40} {3}owned by this station`));
});

test('the owner sees whom it delegated, in which state, and whom it has withdrawn', () => {
  const desk = makeDesk(22);
  desk.keys.addChannel(STAGE);
  delegate(desk, 'Stage', FIRST, { label: 'Backup' });
  delegate(desk, 'Stage', SECOND, { days: 1 });
  delegate(desk, 'Stage', 'c3'.repeat(32), { from: '2027-06-01' });
  revoke(at(desk, WALL_MS + 5), 'Stage', FIRST);
  const account = channelAccount(at(desk, WALL_MS + 2 * DAY_MS), 'Stage');
  assert.equal(
    account.publishers.map(({ label, state }) => [label, state]),
    [
      ['Backup', 'withdrawn'],
      ['', 'expired'],
      ['', 'not yet valid'],
    ],
  );
  assert.equal(account.withdrawn, [{ key: FIRST, since: new Date(WALL_MS + 5).toISOString() }]);
  assert.equal([account.owned, account.source, account.certificate], [true, 'push:stage', null]);
  assert.match(account.link ?? '', /^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=Stage&tr=http/);
  const lines = channelAccountLines(account).join('\n');
  assert.match(lines, /Publisher {6}a1.* {3}Backup {3}.*withdrawn/);
  assert.match(lines, /Withdrawn {6}a1/);
});

test('a delegated station sees its own certificate, and where the owner is', () => {
  const owner = makeDesk(23);
  owner.keys.addChannel(STAGE);
  const other = makeDesk(24, ['station.testCard=false', 'swarm.port=0', 'tracker.enabled=false']);
  accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  const account = channelAccount(other, 'Stage');
  assert.equal([account.owned, account.certificate?.state], [false, 'valid']);
  assert.match(account.link ?? '', /x\.pe=192\.0\.2\.7:16881/);
  assert.match(channelAccountLines(account).join('\n'), /Certificate {4}.*valid/);
  assert.is(stationAccount(other).channels[0]?.right, 'granted');
});

test('without any known address there is no link', () => {
  const desk = makeDesk(25, ['station.testCard=false', 'swarm.port=0', 'tracker.port=0']);
  desk.keys.addChannel(STAGE);
  const account = channelAccount(desk, 'stage');
  assert.is(account.link, null);
  assert.match(channelAccountLines(account).join('\n'), /not known: the ports are 0/);
});

test.run();
