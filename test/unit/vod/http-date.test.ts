import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatHttpDate, parseHttpDate } from '../../../src/vod/http-date.js';

test('dates are written as the runtime writes them, and read back', () => {
  const seconds = [0, 1, 951_782_399, 951_782_400, 1_709_164_800, 1_709_251_199, 1_709_251_200, 4_102_444_799, 253_402_300_799];
  for (let at = 3; at < 253_402_300_799; at += 86_400 * 311 + 4321) seconds.push(at);
  for (const at of seconds) {
    const text = formatHttpDate(at);
    assert.is(text, new Date(at * 1000).toUTCString());
    assert.is(parseHttpDate(text), at);
  }
});

test('what is no date of the one form is none', () => {
  for (const text of [
    '',
    'yesterday',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    'Sun, 06 Nov 1994 08:49:37 CET',
    'Sun, 32 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nix 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
  ])
    assert.is(parseHttpDate(text), undefined, text);
});

test.run();
