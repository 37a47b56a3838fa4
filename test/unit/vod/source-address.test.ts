/** Which URLs of trackers and web seeds are kept. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanTracker, cleanWebSeed } from '../../../src/vod/source-address.js';

test('usable trackers are kept in one spelling', () => {
  assert.is(cleanTracker(' HTTP://T.example:80/announce?passkey=A#x '), 'http://t.example/announce?passkey=A');
  assert.is(cleanTracker('udp://t.example:1337/announce'), 'udp://t.example:1337/announce');
  assert.is(cleanTracker('https://[2001:db8::1]/a'), 'https://[2001:db8::1]/a');
});

test('other schemes, credentials, missing ports and endless URLs are dropped', () => {
  const bad = [
    '',
    'x',
    'udp://t.example',
    'ws://t.example/',
    'file:///etc/passwd',
    'javascript:1',
    'http://u:p@t.example/',
    'http://t.example:0/',
  ];
  for (const text of [...bad, `http://t.example/${'a'.repeat(3000)}`]) assert.is(cleanTracker(text), undefined, text.slice(0, 40));
});

test('a web seed is http or https', () => {
  assert.is(cleanWebSeed('https://w.example/a%20b?x=1'), 'https://w.example/a%20b?x=1');
  for (const text of ['udp://w.example:1', 'ftp://w.example/', 'http://']) assert.is(cleanWebSeed(text), undefined);
});

test.run();
