import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shownUrl, withoutSecrets } from '../../../../src/io/trackers/tracker-secrets.js';

test('of an address the scheme, the host and what every tracker has can be seen', () => {
  for (const [url, shown] of [
    ['udp://t.example:80', 'udp://t.example:80'],
    ['https://t.example/announce', 'https://t.example/announce'],
    ['https://t.example/5ecretkey/announce.php?passkey=abcdef', 'https://t.example/…/announce.php'],
    ['http://user:word@t.example/announce/5ecretkey#x', 'http://t.example/announce/…'],
    ['nonsense', 'nonsense'],
    ['http://t.example/\u001b[2J/announce', 'http://t.example/…/announce'],
  ] as const)
    assert.is(shownUrl(url), shown);
});

test('words of a tracker are quoted without the secrets of its address, and otherwise as they are', () => {
  const url = 'https://t.example/5ecretkey/announce?passkey=abcdef&id=12';
  assert.is(withoutSecrets('5ecretkey: abcdef is not 5ecretkey, announce 12', url), '…: … is not …, announce 12');
  assert.is(withoutSecrets('refuses: "no"', 'nonsense'), 'refuses: "no"');
});

test.run();
