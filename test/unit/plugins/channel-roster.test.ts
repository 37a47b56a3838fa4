import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeDescriptor } from '../../../src/ingest/channel.js';
import { channelRoster, descriptorOf, withGrant } from '../../../src/plugins/channel-roster.js';
import { accept, delegate } from '../../../src/plugins/delegation.js';
import { OWNER } from '../../support/exchange-fixture.js';
import { configWith, keyOf, makeDesk, makeGrant } from '../../support/grant-fixture.js';

const STAGE = { slug: 'stage', name: 'Stage', source: 'stage', container: 'flv' } as const;

test('the roster has the test card, what the configuration declares, and what was made or taken over', () => {
  const owner = makeDesk(11);
  owner.keys.addChannel(STAGE);
  const other = makeDesk(12, ['station.channels=[{"name":"News"}]']);
  other.keys.addChannel({ slug: 'all', name: 'All', source: 'all', container: 'flv', open: true });
  accept(other, delegate(owner, 'Stage', keyOf(other)).grant);
  const entries = channelRoster(other.config, other.keys, other.owner.publicKey);
  assert.equal(
    entries.map(({ declared, owned, descriptor }) => [declared.name, owned, descriptor.owner !== null]),
    [
      ['Test card', true, true],
      ['News', true, true],
      ['All', false, false],
      ['Stage', false, true],
    ],
  );
});

test("a grant's descriptor stands in place of the configuration", () => {
  const { grant } = makeGrant();
  const descriptor = decodeDescriptor(descriptorOf({ ...STAGE, grant }, configWith(), new Uint8Array(32)));
  assert.equal(descriptor, grant.descriptor);
  assert.is.not((decodeDescriptor(descriptorOf(STAGE, configWith(), OWNER.publicKey)) as { windowMs: number }).windowMs, 800);
});

test('a channel whose grant is gone says so', () => {
  assert.throws(() => withGrant({ ...STAGE, granted: 'ab'.repeat(20) }, new Map()), /its grant cannot be read.*Accept it once more/);
  assert.equal(withGrant(STAGE, new Map()), STAGE);
});

test.run();
