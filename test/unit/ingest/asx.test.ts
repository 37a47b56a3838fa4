/** Redirect files as servers and people write them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAsx } from '../../../src/ingest/asx.js';
import { Malformed } from '../../../src/kernel/errors.js';

function urlsOf(text: string): readonly string[] {
  const urls = parseAsx(new TextEncoder().encode(text));
  return urls instanceof Malformed ? [urls.reason] : urls;
}

test('[Reference] texts name their addresses in order, without the parameter that chooses the player', () => {
  assert.equal(urlsOf('[Reference]\r\nRef1=http://a.example/x?MSWMExt=.asf\r\nRef2=http://a.example/x?y=1&MSWMExt=.asf\r\n'), [
    'http://a.example/x',
    'http://a.example/x?y=1',
  ]);
});

test('ASX is read loosely: any case, single quotes, entities, other elements', () => {
  const text = `<?xml version="1.0"?><ASX version="3"><ENTRY><title>x</title><REF HREF = 'mms://a.example/x?a=1&amp;b=2'/></ENTRY>
    <entryref clientbind="no" href="http://b.example/y.asx"/></ASX>`;
  assert.equal(urlsOf(text), ['mms://a.example/x?a=1&b=2', 'http://b.example/y.asx']);
});

test('addresses of other schemes are left out, and a page is no redirect file', () => {
  assert.equal(urlsOf('<asx><ref href="file:///etc/passwd"/><ref href="rtsp://a/x"/><ref href="mmst://a.example/x"/></asx>'), [
    'mmst://a.example/x',
  ]);
  assert.equal(urlsOf('<html>x</html>'), ['the server answered with a page, not with a stream or a redirect file']);
  assert.equal(urlsOf('<asx></asx>'), ['the redirect file names no mms, mmst, mmsh or http address']);
});

test('a long list is cut, and a hostile text takes no time', () => {
  assert.is(urlsOf(`<asx>${'<ref href="mms://a.example/x"/>'.repeat(1000)}</asx>`).length, 16);
  const startMs = performance.now();
  for (const text of [`<asx>${'<ref '.repeat(13_000)}`, `<asx><ref ${'href='.repeat(13_000)}`, `[reference]\n${'ref1= '.repeat(10_000)}`])
    urlsOf(text);
  assert.ok(performance.now() - startMs < 500);
});

test.run();
