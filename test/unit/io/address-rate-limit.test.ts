/** The per-address rate limit. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AddressRateLimit, addressGroup } from '../../../src/io/address-rate-limit.js';

const limit = (): AddressRateLimit => new AddressRateLimit({ requestsPerSecond: 10, burstCount: 3, addressesMaxCount: 4 });

test('an address may ask a burst at once, then at its rate', () => {
  const requests = limit();
  assert.equal(
    [0, 0, 0, 0].map((nowMs) => requests.take('192.0.2.1', nowMs)),
    [true, true, true, false],
  );
  assert.equal(
    [50, 100, 150, 200].map((nowMs) => requests.take('192.0.2.1', nowMs)),
    [false, true, false, true],
  );
});

test('one address does not spend what another has', () => {
  const requests = limit();
  for (let count = 0; count < 10; count++) requests.take('192.0.2.1', 0);
  assert.ok(requests.take('192.0.2.2', 0));
});

test('a refill never goes beyond the burst', () => {
  const requests = limit();
  requests.take('192.0.2.1', 0);
  assert.equal(
    [1e6, 1e6, 1e6, 1e6].map((nowMs) => requests.take('192.0.2.1', nowMs)),
    [true, true, true, false],
  );
});

test('the address that was silent longest is forgotten first', () => {
  const requests = limit();
  for (let count = 0; count < 4; count++) requests.take('192.0.2.1', 0);
  for (const host of [2, 3, 4]) requests.take(`192.0.2.${host}`, 0);
  assert.not(requests.take('192.0.2.1', 0));
  for (const host of [5, 6, 7, 8]) requests.take(`192.0.2.${host}`, 0);
  assert.ok(requests.take('192.0.2.1', 0));
});

test('IPv6 addresses of one /64 are one address, and a mapped IPv4 address is itself', () => {
  assert.is(addressGroup('2001:db8:0:1:aaaa::1'), addressGroup('2001:0DB8:0000:0001::9'));
  assert.is.not(addressGroup('2001:db8:0:1::1'), addressGroup('2001:db8:0:2::1'));
  assert.is(addressGroup('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.is(addressGroup('::1'), '0:0:0:0::/64');
  assert.is(addressGroup('::ffff:192.0.2.1'), '192.0.2.1');
  assert.is(addressGroup(''), '');
});

test.run();
