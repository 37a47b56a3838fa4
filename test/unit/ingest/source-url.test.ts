/** Addresses of sources: what is kept, what is refused, and what a redirect means. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  basicCredentials,
  canBe,
  containerOf,
  formatSourceUrl,
  isSecure,
  parseSourceUrl,
  resolveSourceUrl,
  type SourceUrl,
  withoutSecrets,
} from '../../../src/ingest/source-url.js';
import { Malformed } from '../../../src/kernel/errors.js';

function parsed(text: string): SourceUrl {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return url;
}

test('scheme and host are normalised, the path is kept as it is', () => {
  assert.equal(parsed('MMS://Media.Example:8080/A%20b/../c?x=1#f'), {
    scheme: 'mms',
    host: 'media.example',
    port: 8080,
    path: '/A%20b/../c?x=1',
    credentials: undefined,
  });
  assert.is(parsed('mmsh://a.example').path, '/');
  assert.is(parsed('mmsh://a.example?x').path, '/?x');
  assert.is(parsed('mmst://[::1]:1755/x').host, '::1');
});

test('credentials are decoded, and encoded as UTF-8 in base64', () => {
  assert.is(parsed('mmsh://me:p%40ss@a.example/').credentials, 'me:p@ss');
  assert.is(parsed('mmsh://me:%zz@a.example/').credentials, 'me:%zz');
  assert.is(basicCredentials('mé:x'), Buffer.from('mé:x').toString('base64'));
});

test('what could break a request, or is no address, is refused', () => {
  for (const text of [
    'mmsh://a.example/x\r\nX: y',
    'mmsh://a.example/ x',
    'mmsh://a.example:0/',
    'mmsh:///x',
    'mmsh://1.2.3/x',
    'ftp://a.example/',
    '',
  ]) {
    assert.instance(parseSourceUrl(text), Malformed, text);
  }
});

test('a redirect is a whole URL, or a path on the same host', () => {
  const from = parsed('mmsh://a.example:81/x');
  assert.equal(resolveSourceUrl('/y?z', from), parsed('mmsh://a.example:81/y?z'));
  assert.equal(resolveSourceUrl('http://b.example/', from), parsed('http://b.example/'));
  assert.instance(resolveSourceUrl('//b.example/', from), Malformed);
});

test('what a source is made of follows from its address', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['mms://h/a.flv', 'asf'],
    ['rtmp://h/a/b', 'flv'],
    ['rtmps://h/a/b', 'flv'],
    ['http://h/a/b.flv', 'flv'],
    ['https://h/a/b.FLV?x=y', 'flv'],
    ['http://h/a/b?x=.flv', 'asf'],
    ['http://h/a.flv/b', 'asf'],
    ['https://h/a.asx', 'asf'],
  ];
  for (const [text, container] of cases) assert.is(containerOf(parsed(text)), container, text);
  assert.is(canBe('http', 'flv') && canBe('http', 'asf') && canBe('rtmp', 'flv') && canBe('mms', 'asf'), true);
  assert.is(canBe('rtmp', 'asf') || canBe('mmsh', 'flv'), false);
  assert.is(isSecure('rtmps') && isSecure('https') && !isSecure('http'), true);
});

test('an address is written without credentials, and for a log without anything that may be secret', () => {
  assert.is(formatSourceUrl(parsed('HTTP://me:pw@H:81/a?b')), 'http://h:81/a?b');
  assert.is(formatSourceUrl(parsed('rtmp://[::1]/a/b')), 'rtmp://[::1]/a/b');
  assert.is(withoutSecrets('rtmp://me:p@ss@h:1/a/b?token=x#y'), 'rtmp://h:1/a/b?…');
  assert.is(withoutSecrets('rtmp://h/a/b'), 'rtmp://h/a/b');
});

test.run();
