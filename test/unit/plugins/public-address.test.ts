import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configuredAddresses, publicAddresses, publicHost } from '../../../src/plugins/public-address.js';
import { configWith } from '../../support/grant-fixture.js';

test('links name the public host, the own tracker first, and then others', () => {
  const config = configWith(['tracker.announce=http://t.example:1/announce']);
  assert.equal(publicAddresses(config, { swarm: 5, trackerHttp: 6, trackerUdp: 7 }), {
    trackers: ['http://192.0.2.7:6/announce', 'udp://192.0.2.7:7', 'http://t.example:1/announce'],
    peers: ['192.0.2.7:5'],
  });
});

test('a tracker on loopback is named as that, and one that is not there is not named', () => {
  const loopback = configWith(['tracker.host=127.0.0.1']);
  assert.equal(publicAddresses(loopback, { swarm: 5, trackerHttp: 6, trackerUdp: null }).trackers, ['http://127.0.0.1:6/announce']);
  assert.equal(configuredAddresses(configWith(['tracker.enabled=false', 'swarm.port=0'])), { trackers: [], peers: [] });
});

test('without a public host the address is guessed; on loopback there is nothing to guess', () => {
  assert.is(publicHost(configWith(['swarm.publicHost=auto', 'swarm.host=127.0.0.1'])), '127.0.0.1');
  assert.match(publicHost(configWith(['swarm.publicHost=auto'])), /^\d+\.\d+\.\d+\.\d+$/);
});

test.run();
