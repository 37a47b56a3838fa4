/** Addresses have one normal form, known scopes, and survive the compact form. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import {
  addressBlock,
  addressGroup,
  addressScope,
  decodeCompact,
  encodeCompact,
  formatAddress,
  makeAddress,
  normaliseHost,
  parseAddress,
} from '../../../src/kernel/peer-address.js';

test('an address is read as people write it', () => {
  assert.equal(parseAddress(' Example.org:80 '), { host: 'example.org', port: 80 });
  assert.equal(parseAddress('[2001:DB8::1]:6881'), { host: '2001:db8::1', port: 6881 });
  for (const text of ['', 'example.org', ':80', '2001:db8::1:80', '192.0.2.1:0', '192.0.2.1:65536', '192.0.2.1:80 81'])
    assert.is(parseAddress(text), undefined, text);
});

test('a party holds a /24 or a /56, a site a /24 or a /48', () => {
  assert.is(addressGroup('192.0.2.77'), '192.0.2.0/24');
  assert.is(addressBlock('192.0.2.77'), '192.0.2.0/24');
  assert.is(addressGroup('2001:db8:1:2345::9'), '2001:db8:1:2300::/56');
  assert.is(addressBlock('2001:db8:1:2345::9'), '2001:db8:1::/48');
  assert.is(addressBlock('::1'), '::/48');
  assert.is(addressBlock('example.org'), 'example.org');
});

test('every spelling of a host becomes one', () => {
  const spellings: Readonly<Record<string, string | undefined>> = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::FFFF:c000:0201': '192.0.2.1',
    '2001:DB8:0:0:0:0:0:1': '2001:db8::1',
    '[2001:db8::1]': '2001:db8::1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1',
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1',
    '::': '::',
    '::1': '::1',
    'Example.ORG': 'example.org',
    localhost: 'localhost',
    '1.2.3': undefined,
    '256.1.1.1': undefined,
    '01.2.3.4': undefined,
    '1::2::3': undefined,
    '1:2:3:4:5:6:7:8:9': undefined,
    'fe80::1%eth0': undefined,
    '': undefined,
    'a b': undefined,
    '-x.org': undefined,
    'http://x': undefined,
  };
  for (const [spelling, normal] of Object.entries(spellings)) assert.is(normaliseHost(spelling), normal, spelling);
});

test('scopes tell this machine, this network and the world apart', () => {
  const scopes: Readonly<Record<string, string>> = {
    '127.0.0.1': 'loopback',
    '127.9.9.9': 'loopback',
    '::1': 'loopback',
    localhost: 'loopback',
    '10.1.2.3': 'private',
    '172.16.0.1': 'private',
    '172.32.0.1': 'public',
    '192.168.1.1': 'private',
    '169.254.169.254': 'private',
    '100.64.0.1': 'private',
    'fd00::1': 'private',
    '8.8.8.8': 'public',
    '2001:db8::1': 'public',
    '0.0.0.0': 'unusable',
    '224.0.0.1': 'unusable',
    '255.255.255.255': 'unusable',
    '::': 'unusable',
    'ff02::1': 'unusable',
    'fe80::1': 'unusable',
    'example.org': 'name',
  };
  for (const [host, scope] of Object.entries(scopes)) assert.is(addressScope(host), scope, host);
});

test('an address needs a usable host and a port', () => {
  assert.equal(makeAddress('EXAMPLE.org', 80), { host: 'example.org', port: 80 });
  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) assert.is(makeAddress('192.0.2.1', port), undefined);
  assert.is(makeAddress('224.0.0.1', 80), undefined);
  assert.is(formatAddress({ host: '2001:db8::1', port: 80 }), '[2001:db8::1]:80');
});

test('the compact form keeps addresses of its family', () => {
  const v4 = [
    { host: '192.0.2.1', port: 6881 },
    { host: '8.8.4.4', port: 65_535 },
  ];
  const v6 = [{ host: '2001:db8::ff', port: 1 }];
  assert.equal(decodeCompact(encodeCompact([...v4, ...v6], 4), 4), v4);
  assert.equal(decodeCompact(encodeCompact([...v4, ...v6], 6), 6), v6);
});

test('half an entry is malformed, an entry nobody can dial is left out', () => {
  assert.instance(decodeCompact(new Uint8Array(7), 4), Malformed);
  assert.instance(decodeCompact(new Uint8Array(6), 6), Malformed);
  assert.equal(decodeCompact(Uint8Array.of(192, 0, 2, 1, 0, 0, 224, 0, 0, 1, 0, 80), 4), []);
});

test.run();
