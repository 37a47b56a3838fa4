import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { QR_TEXT_BYTES_MAX, qrCodeSvg } from '../../src/io/web/qr-code.js';

test('a link becomes a square SVG that is dark on white', async () => {
  const svg = (await qrCodeSvg(`magnet:?xt=urn:btih:${'ab'.repeat(20)}&dn=Test%20card`)) ?? '';
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
  assert.is(width, height);
  assert.match(svg, /fill="#ffffff"/);
  assert.match(svg, /stroke="#000000"/);
});

test('a text that no phone would read from a screen has no code', async () => {
  assert.is(await qrCodeSvg('x'.repeat(QR_TEXT_BYTES_MAX + 1)), undefined);
  assert.ok(await qrCodeSvg('x'.repeat(QR_TEXT_BYTES_MAX)));
});

test.run();
