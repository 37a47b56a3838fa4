/** URLs of files at web seeds, and which answers are taken. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { firstPlace, judgeResponse, redirectedPlace, type WebSeedVerdict, webSeedUrl } from '../../../src/vod/web-seed.js';
import { folderInfo, readTorrent, torrentBytes } from '../../support/metainfo-fixture.js';

const file = (title: ReturnType<typeof readTorrent>, index = 0) => title.files[index] as (typeof title.files)[0];

test('a single file is the URL itself, or the name below a folder', () => {
  const title = readTorrent(torrentBytes({ name: 'ä b#c?.mkv' }));
  assert.is(webSeedUrl('http://w.example/dir/x.bin?t=1', title, file(title)), 'http://w.example/dir/x.bin?t=1');
  assert.is(webSeedUrl('http://w.example/dir/?t=1', title, file(title)), 'http://w.example/dir/%C3%A4%20b%23c%3F.mkv?t=1');
});

test('the files of a folder lie below its name, by their names in the torrent', () => {
  const files = [['Sub dir', "50%'s.mkv"], ['a\\b'], ['..', 'x'], ['CON']].map((path) => ({ length: 1, path }));
  const title = readTorrent(torrentBytes(folderInfo(files)));
  const urls = title.files.map((_, index) => webSeedUrl('http://w.example/dir', title, file(title, index)));
  assert.equal(urls, [
    'http://w.example/dir/folder/Sub%20dir/50%25%27s.mkv',
    'http://w.example/dir/folder/a%5Cb',
    undefined,
    'http://w.example/dir/folder/CON',
  ]);
});

const REQUEST = { fromByte: 100, lengthBytes: 50, fileBytes: 1000 };
const judge = (status: number, headers: Record<string, string> = {}, request = REQUEST): WebSeedVerdict =>
  judgeResponse({ status, headers }, request, 784_111_777);
const reasonOf = (verdict: WebSeedVerdict): string => (verdict.kind === 'refuse' ? verdict.reason : verdict.kind);
const retryOf = (verdict: WebSeedVerdict): number => (verdict.kind === 'refuse' ? verdict.retryMs : -1);

test('the range that was asked for is taken, or its beginning', () => {
  assert.equal(judge(206, { 'content-range': 'bytes 100-149/1000' }), { kind: 'take', skipBytes: 0, lengthBytes: 50 });
  assert.equal(judge(206, { 'content-range': 'bytes 100-119/*' }), { kind: 'take', skipBytes: 0, lengthBytes: 20 });
});

test('another range, another file and several ranges are refused', () => {
  assert.match(reasonOf(judge(206, { 'content-range': 'bytes 0-49/1000' })), /answers bytes 0-49 where 100-149 were/);
  assert.match(reasonOf(judge(206, { 'content-range': 'bytes 100-150/1000' })), /where 100-149/);
  assert.match(reasonOf(judge(206, { 'content-range': 'bytes 100-99/1000' })), /answers bytes/);
  assert.match(reasonOf(judge(206, { 'content-range': 'bytes 100-149/999' })), /its file has 999 bytes, the title's 1000/);
  assert.match(reasonOf(judge(206, { 'content-type': 'multipart/byteranges' })), /Content-Range: "/);
});

test('a whole file is skipped into when that is cheap', () => {
  assert.equal(judge(200, { 'content-length': '1000' }), { kind: 'take', skipBytes: 100, lengthBytes: 50 });
  assert.equal(judge(200), { kind: 'take', skipBytes: 100, lengthBytes: 50 });
  assert.match(reasonOf(judge(200, { 'content-length': '5' })), /its file has 5 bytes/);
  const far = { fromByte: 5_000_000, lengthBytes: 50, fileBytes: 10_000_000 };
  assert.match(reasonOf(judge(200, {}, far)), /ignores ranges/);
  assert.match(reasonOf(judge(200, { 'content-encoding': 'gzip' })), /encoding "gzip"/);
});

test('redirects are followed where they lead somewhere', () => {
  assert.equal(judge(302, { location: '/x' }), { kind: 'redirect', location: '/x' });
  assert.match(reasonOf(judge(302)), /answers 302/);
});

test('a missing file is asked for late and says nothing of others; a busy server is asked sooner, or when it says', () => {
  const isOfFile = (verdict: WebSeedVerdict): boolean => verdict.kind === 'refuse' && verdict.isOfFile;
  assert.equal([retryOf(judge(404)), isOfFile(judge(404))], [600_000, true]);
  assert.equal([retryOf(judge(503)), isOfFile(judge(503))], [10_000, false]);
  assert.is(retryOf(judge(429, { 'retry-after': '30' })), 30_000);
  assert.is(retryOf(judge(503, { 'retry-after': '0' })), 1000);
  assert.is(retryOf(judge(503, { 'retry-after': '999999999' })), 3_600_000);
  assert.is(retryOf(judge(503, { 'retry-after': 'Sun, 06 Nov 1994 08:50:37 GMT' })), 60_000);
  assert.is(retryOf(judge(503, { 'retry-after': 'soon' })), 10_000);
});

test('dates are counted as the calendar has them', () => {
  for (const iso of ['2000-02-29T00:00:00Z', '2026-12-31T23:59:59Z', '1970-01-01T00:00:05Z', '2100-03-01T12:00:00Z']) {
    const atS = Date.parse(iso) / 1000;
    const verdict = judgeResponse({ status: 503, headers: { 'retry-after': new Date(iso).toUTCString() } }, REQUEST, atS - 77);
    assert.is(retryOf(verdict), 77_000);
  }
});

test('only what the user named may be near, and not with a query', () => {
  const near = (url: string, isUsersChoice: boolean): boolean => firstPlace(url, isUsersChoice).mayReachPrivate;
  assert.equal(
    [near('http://w.example/a', true), near('http://w.example/a?b', true), near('http://w.example/a', false)],
    [true, false, false],
  );
});

test('no redirect leads from the public network into ours', () => {
  const from = { url: 'http://w.example/a/b', mayReachPrivate: true };
  const reaches = (location: string, isFromPrivate: boolean, start = from): unknown => {
    const place = redirectedPlace(start, location, isFromPrivate);
    return typeof place === 'string' ? place : [place.url, place.mayReachPrivate];
  };
  assert.equal(reaches('http://u:p@127.0.0.1/x', false), ['http://127.0.0.1/x', false]);
  assert.equal(reaches('../x', true), ['http://w.example/x', true]);
  assert.equal(reaches('/x?cmd=1', true), ['http://w.example/x?cmd=1', false]);
  assert.equal(reaches('/x', true, { ...from, mayReachPrivate: false }), ['http://w.example/x', false]);
  assert.match(String(reaches('file:///etc/passwd', true)), /redirects to file:, expected http: or https:/);
  assert.match(String(reaches('http://[', true)), /which is no address/);
});

test.run();
