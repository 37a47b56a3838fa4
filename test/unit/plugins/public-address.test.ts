import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configuredAddresses, publicAddresses, publicHost, publicSeedBase } from '../../../src/plugins/public-address.js';
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

test('files are named by HTTP only where others reach the web server, under the public name', () => {
  assert.is(publicSeedBase(configWith([]), 80), null);
  assert.is(publicSeedBase(configWith(['relay.http.host=0.0.0.0']), 80), 'http://192.0.2.7:80/seed/');
  assert.is(publicSeedBase(configWith(['relay.http.host=192.0.2.9', 'swarm.publicHost=auto']), 80), 'http://192.0.2.9:80/seed/');
  assert.is(publicSeedBase(configWith(['relay.http.host=::', 'swarm.publicHost=2001:db8::7']), 80), 'http://[2001:db8::7]:80/seed/');
  assert.is(publicSeedBase(configWith(['relay.http.host=0.0.0.0', 'swarm.publicHost=127.0.0.1']), 80), null);
});

test.run();
