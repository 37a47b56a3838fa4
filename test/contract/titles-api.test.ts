/** The API of titles on a real server with a real library: who may change something, what is refused and in which words, and what is on the disk. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import type { TitleDetail, TitleView } from '../../src/plugins/titles/title-view.js';
import { type KeptTitles, keepTitles } from '../support/kept-titles.js';
import { folderInfo, readTorrent, torrentBytes } from '../support/metainfo-fixture.js';
import { mismatch, type OpenApiDocument } from '../support/openapi-check.js';
import { temporaryFolder } from '../support/program.js';
import { ask, request } from '../support/raw-http.js';
import { differences, writeRandomFile } from '../support/title-fixture.js';
import { makeTorrent } from '../support/torrent-fixture.js';
import { until } from '../support/until.js';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const TORRENT_TYPE = { 'Content-Type': 'application/x-bittorrent' };
const HASH = 'c0ffee0000000000000000000000000000c0ffee';
const MAGNET = `magnet:?xt=urn:btih:${HASH}&dn=Coffee`;

let kept: KeptTitles;

test.before(async () => {
  kept = await keepTitles();
});

test.after(() => kept.stop());

test.after.each(async () => {
  for (const { id } of await list()) assert.is((await send('DELETE', `/${id}?data=remove`)).status, 204);
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined where there is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: any JSON
  readonly body: any;
}

async function send(
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(`${kept.origin}/api/titles${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, headers: response.headers, body: isJson ? await response.json() : undefined };
}

function addLink(link: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return send('POST', '', JSON.stringify({ link }), { ...JSON_TYPE, ...headers });
}

function addTorrent(bytes: Uint8Array): Promise<Answer> {
  return send('POST', '', bytes, TORRENT_TYPE);
}

async function list(): Promise<readonly TitleView[]> {
  return (await send('GET', '')).body.titles;
}

async function detail(id: string): Promise<TitleDetail> {
  return (await send('GET', `/${id}`)).body;
}

async function stateBecomes(id: string, state: string): Promise<void> {
  for (let left = 100; (await detail(id)).state !== state; left--) {
    if (left === 0) assert.is((await detail(id)).state, state);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('a magnet is added once, however it is written, with all it says', async () => {
  const first = await addLink(`${MAGNET}&x.pe=127.0.0.1:9&so=0,2-3&tr=http%3A%2F%2F127.0.0.1%3A9%2Fannounce`);
  assert.is(first.status, 201);
  assert.is(first.headers.get('location'), `/api/titles/${HASH}`);
  assert.equal([first.body.id, first.body.name, first.body.state], [HASH, 'Coffee', 'metadata']);
  assert.match(first.body.link, /x\.pe=127\.0\.0\.1:9/);
  assert.match(first.body.link, /so=0,2-3/);
  const base32 = 'YD765YAAAAAAAAAAAAAAAAAAAAAAB776'.slice(0, 32);
  assert.is((await addLink(`magnet:?xt=urn:btih:${HASH.toUpperCase()}`)).status, 200);
  assert.is((await addLink(` ${MAGNET} `)).status, 200);
  assert.is((await list()).length, 1);
  assert.is((await addLink(`magnet:?xt=urn:btih:${base32}`)).status, 201, 'base32 is read');
});

test('a torrent file is added, with its files, and given back', async () => {
  const torrent = torrentBytes(
    folderInfo([
      { length: 20_000, path: ['a.mkv'] },
      { length: 5, path: ['b', 'c.srt'] },
    ]),
  );
  const { infoHash } = readTorrent(torrent);
  const { status, body } = await addTorrent(torrent);
  assert.is(status, 201);
  assert.equal(
    body.files.map(({ path, kind, sizeBytes }: { path: string; kind: string; sizeBytes: number }) => [path, kind, sizeBytes]),
    [
      ['a.mkv', 'video', 20_000],
      ['b/c.srt', 'subtitle', 5],
    ],
  );
  assert.match(body.files[0].play, new RegExp(`^/vod/${infoHash}/0/a\\.mkv\\?token=`));
  assert.match(body.files[0].browser, /index\.m3u8\?token=/);
  assert.is(body.files[0].converted, body.files[0].browser);
  assert.match(body.files[1].browser, /\/1\.vtt\?token=/);
  assert.match(body.playlist, /\.m3u8\?token=/);
  assert.equal((await send('GET', '?files=no')).body.titles[0].files, []);
  const response = await fetch(`${kept.origin}/api/titles/${infoHash}/title.torrent`);
  assert.is(response.headers.get('content-type'), 'application/x-bittorrent');
  assert.equal(new Uint8Array(await response.arrayBuffer()), torrent);
});

test('a name full of tricks breaks no header and no disk', async () => {
  const name = '..\u202e/"a"\r\nX-Evil: 1; 😀'.replace('/', '∕');
  const added = await addTorrent(torrentBytes({ name }));
  assert.is(added.status, 201, JSON.stringify(added.body));
  const response = await fetch(`${kept.origin}/api/titles/${added.body.id}/title.torrent`);
  assert.is(response.headers.get('x-evil'), null);
  assert.match(
    response.headers.get('content-disposition') ?? '',
    /^attachment; filename="[0-9a-f]{40}\.torrent"; filename\*=UTF-8''[\w%.!-]+\.torrent$/,
  );
});

test('other web pages change nothing: not by origin, not by what browsers say of the sender, not with what a form can send', async () => {
  await addLink(MAGNET);
  const other = `magnet:?xt=urn:btih:${'b'.repeat(40)}`;
  const foreign: readonly Readonly<Record<string, string>>[] = [
    { Origin: 'http://evil.example' },
    { Origin: 'null' },
    { Origin: `http://localhost:${new URL(kept.origin).port}` },
    { Origin: kept.origin.replace('http:', 'https:').replace('127.0.0.1', '127.0.0.2') },
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'none' },
  ];
  for (const headers of foreign) {
    const what = JSON.stringify(headers);
    assert.equal([(await addLink(other, headers)).status, (await addLink(other, headers)).body.error.code], [403, 'FOREIGN_PAGE'], what);
    assert.is((await send('DELETE', `/${HASH}?data=remove`, undefined, headers)).status, 403, what);
    assert.is((await send('POST', `/${HASH}/pause`, undefined, headers)).status, 403, what);
  }
  const text = JSON.stringify({ link: other });
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; charset=application/json',
  ]) {
    assert.equal([(await send('POST', '', text, { 'Content-Type': type })).status, type], [415, type]);
    assert.is((await send('POST', `/${HASH}/pause`, 'x', { 'Content-Type': type })).status, 415, type);
  }
  const untyped = await ask(
    Number(new URL(kept.origin).port),
    request('/api/titles', { method: 'POST', headers: [`Content-Length: ${text.length}`, 'Connection: close'] }) + text,
  );
  assert.is(untyped.status, 415);
  const rebound = request('/api/titles', { host: 'evil.example', headers: ['Connection: close'] });
  assert.is((await ask(Number(new URL(kept.origin).port), rebound)).status, 403, 'a name that was made to mean this machine');
  assert.equal(
    (await list()).map(({ id, state }) => [id, state]),
    [[HASH, 'metadata']],
  );
  assert.is((await addLink(MAGNET, { Origin: kept.origin, 'Sec-Fetch-Site': 'same-origin' })).status, 200, 'our own page may');
});

test('the list tells what caching several titles is worth to whoever watches', async () => {
  const { caching } = (await send('GET', '')).body;
  assert.equal([caching.mode, caching.startUps, caching.hitRatio], ['multi-task-with-control', 0, null]);
});

test('whoever comes through a proxy looks and plays, but changes nothing', async () => {
  await addLink(MAGNET);
  const elsewhere = { 'X-Forwarded-For': '192.0.2.7' };
  const view = await send('GET', '', undefined, elsewhere);
  assert.equal([view.body.mayChange, view.body.titles.length], [false, 1]);
  assert.is((await send('GET', '')).body.mayChange, true);
  const refused = await addLink(`magnet:?xt=urn:btih:${'d'.repeat(40)}`, elsewhere);
  assert.equal([refused.status, refused.body.error.code], [403, 'ANOTHER_MACHINE']);
  assert.is((await send('DELETE', `/${HASH}?data=keep`, undefined, elsewhere)).status, 403);
  assert.is((await list()).length, 1);
});

test('of a private title other machines learn no address at its tracker; of a public one everything', async () => {
  const elsewhere = { 'X-Forwarded-For': '192.0.2.7' };
  const SECRET = '5ec7e7';
  // Of this machine, and so not asked: its path does not begin as that of a tracker does.
  const trackers = [`http://127.0.0.1:9/${SECRET}/announce`];
  for (const isPrivate of [true, false]) {
    const file = join(temporaryFolder('private'), 'film.mkv');
    writeRandomFile(file, 40_000, isPrivate ? 1 : 2);
    const { id } = (await addTorrent(makeTorrent(file, { isPrivate }).file({ trackers }))).body;
    await stateBecomes(id, 'downloading');
    const [here, there] = [await send('GET', `/${id}`), await send('GET', `/${id}`, undefined, elsewhere)];
    assert.is(JSON.stringify(here.body).includes(SECRET), true);
    assert.is(JSON.stringify(there.body).includes(SECRET), !isPrivate);
    const listed = await send('GET', '', undefined, elsewhere);
    assert.is(JSON.stringify(listed.body).includes(SECRET), !isPrivate);
    assert.is((await send('GET', `/${id}/title.torrent`)).status, 200);
    assert.is((await send('GET', `/${id}/title.torrent`, undefined, elsewhere)).status, isPrivate ? 403 : 200);
    if (isPrivate)
      assert.equal(
        [there.body.isPrivate, there.body.trackers[0].url, there.body.trackers[0].state.includes(':'), there.body.comment],
        [true, 'http://127.0.0.1:9', false, ''],
      );
    await send('DELETE', `/${id}?data=remove`);
  }
  await addLink(`${MAGNET}&tr=${encodeURIComponent(trackers[0] ?? '')}`);
  assert.not.match(JSON.stringify((await send('GET', '', undefined, elsewhere)).body), SECRET);
  assert.match(JSON.stringify((await send('GET', '')).body), SECRET);
});

test('a check finds what was damaged on the disk, which is then missing; a bare link has nothing to check', async () => {
  const folder = temporaryFolder('recheck');
  const file = join(folder, 'film.mkv');
  writeRandomFile(file, 400_000, 3);
  const torrent = makeTorrent(file, {});
  const whole = readFileSync(file);
  const { id } = (await addTorrent(torrent.file())).body;
  await stateBecomes(id, 'downloading');
  await send('POST', `/${id}/pause`);
  const [path] = (await detail(id)).files;
  assert.is((await send('POST', `/${id}/recheck`)).status, 200);
  await stateBecomes(id, 'paused');
  assert.is((await detail(id)).haveBytes, 0);
  const place = join(kept.filesFolder, path?.path ?? '');
  writeFileSync(place, whole);
  await send('POST', `/${id}/recheck`);
  await stateBecomes(id, 'paused');
  assert.is((await detail(id)).haveBytes, 400_000);
  const { atime, mtime } = statSync(place);
  whole[200_000] = (whole[200_000] ?? 0) ^ 1;
  writeFileSync(place, whole);
  utimesSync(place, atime, mtime);
  await send('POST', `/${id}/resume`);
  await stateBecomes(id, 'seeding');
  await send('POST', `/${id}/recheck`);
  await stateBecomes(id, 'downloading');
  const after = await detail(id);
  assert.is(after.haveBytes, 400_000 - after.pieceLengthBytes);
  const bare = (await addLink(MAGNET)).body;
  const refused = await send('POST', `/${bare.id}/recheck`);
  assert.equal([refused.status, refused.body.error.code], [409, 'METADATA_UNKNOWN']);
  // What was there before is not deleted with its title.
  await send('DELETE', `/${id}?data=remove`);
  rmSync(place);
});

test('bodies that are none are refused with what would be right', async () => {
  const malformed = [
    '',
    '{',
    'null',
    '[]',
    '"magnet:?"',
    '{"link":1}',
    '{"link":""}',
    '{"link":"   "}',
    '{}',
    `{"link":"${MAGNET}","folder":"/etc"}`,
    `{"link":${'['.repeat(20_000)}`,
  ];
  for (const text of malformed) {
    const { status, body } = await send('POST', '', text, JSON_TYPE);
    assert.equal([status, body.error.code], [400, 'BODY_MALFORMED'], text.slice(0, 60));
    assert.match(body.error.message, /Send \{"link":"magnet/);
  }
  const bytes = await send('POST', '', Uint8Array.of(0x22, 0xff, 0x22), JSON_TYPE);
  assert.is(bytes.status, 400);
  assert.equal([(await addTorrent(new Uint8Array(0))).status, (await addTorrent(new Uint8Array(0))).body.error.code], [400, 'BODY_EMPTY']);
  assert.is((await send('POST', '', torrentBytes(), { ...TORRENT_TYPE, 'Content-Encoding': 'gzip' })).status, 415);
  assert.equal(await list(), []);
});

test('links and torrents that cannot be used are refused with what is wrong and where', async () => {
  const links: readonly (readonly [string, RegExp])[] = [
    ['magnet:?xt=urn:btih:123', /info hash "123" has 3 characters; expected 40 hex digits/],
    ['magnet:?dn=x', /has no "xt"/],
    [`magnet:?xt=urn:btmh:1220${'a'.repeat(64)}`, /version 2 hash only/],
    ['ftp://example.org/a.torrent', /starts with "ftp:/],
    ['javascript:alert(1)', /starts with "javascript/],
  ];
  for (const [link, words] of links) {
    const { status, body } = await addLink(link);
    assert.equal([status, body.error.code], [400, 'LINK_MALFORMED'], link);
    assert.match(body.error.message, words);
  }
  const torrents: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.from('<!doctype html><title>Not found</title>'), /no torrent file: .* at byte 0/],
    [torrentBytes().subarray(0, 80), /a string of 60 bytes where 8 are left, at byte 69/],
    [torrentBytes({ pieces: new Uint8Array(59) }), /info\.pieces has 59 bytes; expected a multiple of 20/],
    [torrentBytes({ 'piece length': 0 }), /info\["piece length"\] is 0; expected/],
    [torrentBytes({ length: -1 }), /info\.length is -1/],
  ];
  for (const [bytes, words] of torrents) {
    const { status, body } = await addTorrent(bytes);
    assert.equal([status, body.error.code], [400, 'TORRENT_MALFORMED'], body.error?.message);
    assert.match(body.error.message, words);
  }
  assert.equal(await list(), []);
});

test('the address of a torrent file is one, too; what lies there is told', async () => {
  const torrent = torrentBytes({ name: 'From the web' });
  const site = await HttpServer.start({ host: '127.0.0.1', port: 0, log: kept.log });
  site.get('/a.torrent', () => ({ headers: { 'Content-Type': 'application/x-bittorrent' }, body: torrent }));
  site.get('/page', () => ({ headers: { 'Content-Type': 'text/html' }, body: '<!doctype html>' }));
  assert.equal([(await addLink(`${site.url}a.torrent`)).body.name], ['From the web']);
  for (const [path, words] of [
    ['page', /is a web page, not a torrent file/],
    ['none', /answers 404/],
  ] as const) {
    const { status, body } = await addLink(site.url + path);
    assert.equal([status, body.error.code], [422, 'TORRENT_UNREACHABLE']);
    assert.match(body.error.message, words);
  }
  await site.stop();
});

test('what is too large is refused before it is kept', async () => {
  const long = await addLink(`${MAGNET}&dn=${'x'.repeat(33_000)}`);
  assert.equal([long.status, long.body.error.code], [400, 'BODY_MALFORMED']);
  assert.match(long.body.error.message, /more than 32768 characters/);
  const huge = await addLink('x'.repeat(70_000));
  assert.equal([huge.status, huge.body.error.code], [413, 'BODY_TOO_LARGE']);
  const torrent = await addTorrent(new Uint8Array(10 * 1024 * 1024 + 1));
  assert.is(torrent.status, 413);
  assert.match(torrent.body.error.message, /at most 10 MiB/);
  const announced = ['Content-Type: application/x-bittorrent', 'Content-Length: 99999999999', 'Connection: close'];
  const answer = await ask(Number(new URL(kept.origin).port), request('/api/titles', { method: 'POST', headers: announced }));
  assert.is(answer.status, 413, 'not waited for');
});

test('a title pauses, goes on, and says so', async () => {
  await addLink(MAGNET);
  const paused = await send('POST', `/${HASH}/pause`);
  assert.equal([paused.status, paused.body.state, paused.body.id], [200, 'paused', HASH]);
  assert.is((await send('POST', `/${HASH}/pause`, '{}', JSON_TYPE)).status, 200, 'programs may send a body that says nothing');
  assert.is((await send('POST', `/${HASH.toUpperCase()}/resume`)).body.state, 'metadata');
  assert.is((await send('GET', `/${HASH}/pause`)).status, 405);
});

test('removing says what happens to the files, and does that', async () => {
  const source = join(temporaryFolder('source'), 'film.bin');
  writeRandomFile(source, 200_000, 3);
  const torrent = makeTorrent(source, { pieceLengthBytes: 65_536 });
  const seeder = await keepTitles();
  await seeder.shoal.titles.library.add({ torrent: torrent.file() }, { folder: dirname(source) });
  const peer = `127.0.0.1:${seeder.swarmPort}`;
  const onDisk = join(kept.filesFolder, 'film.bin');
  const fetchIt = async (): Promise<void> => {
    assert.is((await addLink(torrent.magnet({ peers: [peer] }))).status, 201);
    await stateBecomes(torrent.infoHash, 'seeding');
    assert.is((await detail(torrent.infoHash)).haveBytes, 200_000);
  };
  await fetchIt();
  for (const query of ['', '?data=', '?data=yes', '?data=KEEP']) {
    const { status, body } = await send('DELETE', `/${torrent.infoHash}${query}`);
    assert.equal([status, body.error.code], [400, 'DATA_UNSAID'], query);
  }
  assert.is((await send('DELETE', `/${torrent.infoHash}?data=keep`)).status, 204);
  assert.equal([differences(source, onDisk), await list()], [[], []], 'kept');
  await fetchIt();
  writeFileSync(join(kept.filesFolder, 'other.txt'), 'not of the title');
  assert.is((await send('DELETE', `/${torrent.infoHash}?data=remove`)).status, 204);
  assert.equal(readdirSync(kept.filesFolder), ['other.txt']);
  assert.is((await send('DELETE', `/${torrent.infoHash}?data=remove`)).status, 404);
  await seeder.shoal.titles.library.remove(torrent.infoHash, { withData: true });
  assert.ok(existsSync(source), 'what was there before Shoal stays');
  await seeder.stop();
});

test('what is not there is told apart from what has not come yet', async () => {
  for (const path of [`/${'f'.repeat(40)}`, '/x', '/..%2f..', `/${'f'.repeat(40)}/title.torrent`])
    assert.equal([(await send('GET', path)).status, (await send('GET', path)).body.error.code], [404, 'TITLE_UNKNOWN'], path);
  await addLink(MAGNET);
  assert.is((await send('GET', `/${HASH}/title.torrent`)).body.error.code, 'METADATA_UNKNOWN');
  assert.is((await send('GET', `/${HASH}/picture.jpg`)).body.error.code, 'PICTURE_UNKNOWN');
});

test('every answer is as the OpenAPI document says', async () => {
  const document = (await (await fetch(`${kept.origin}/api/openapi.json`)).json()) as OpenApiDocument;
  const judge = async (method: 'get' | 'post' | 'delete', template: string, answer: Promise<Answer>, wanted: number): Promise<void> => {
    const { status, body } = await answer;
    assert.is(status, wanted, `${method} ${template}: ${JSON.stringify(body)}`);
    const operation = document.paths[template]?.[method];
    const response = operation?.responses[`${status}`];
    assert.ok(response, `${method} ${template} ${status} is not in the document`);
    const schema = response.content?.['application/json']?.schema;
    assert.is(schema === undefined, body === undefined, `${method} ${template} ${status}`);
    if (schema) assert.is(mismatch(document, schema, body, template), null);
  };
  const [all, one] = ['/api/titles', '/api/titles/{id}'];
  const torrent = torrentBytes(folderInfo([{ length: 20_000, path: ['a.mp4'] }]), {
    announce: 'http://127.0.0.1:9/announce',
    comment: 'x',
  });
  const { infoHash } = readTorrent(torrent);
  await judge('post', all, addTorrent(torrent), 201);
  await judge('post', all, addTorrent(torrent), 200);
  await judge('post', all, addLink('x'), 400);
  await judge('post', all, addLink(MAGNET, { Origin: 'http://evil.example' }), 403);
  await judge('post', all, addLink('x'.repeat(70_000)), 413);
  await judge('post', all, send('POST', '', 'x', { 'Content-Type': 'text/plain' }), 415);
  await judge('post', all, addLink(MAGNET), 201);
  await judge('get', all, send('GET', ''), 200);
  for (const [id, status] of [
    [infoHash, 200],
    ['f'.repeat(40), 404],
  ] as const) {
    await judge('get', one, send('GET', `/${id}`), status);
    await judge('post', '/api/titles/{id}/pause', send('POST', `/${id}/pause`), status);
    await judge('post', '/api/titles/{id}/resume', send('POST', `/${id}/resume`), status);
    await judge('post', '/api/titles/{id}/pin', send('POST', `/${id}/pin`), status);
    await judge('post', '/api/titles/{id}/unpin', send('POST', `/${id}/unpin`), status);
    await judge('get', '/api/titles/{id}/picture.jpg', send('GET', `/${id}/picture.jpg`), 404);
  }
  await judge('delete', one, send('DELETE', `/${infoHash}`), 400);
  await judge('delete', one, send('DELETE', `/${infoHash}?data=remove`), 204);
  await judge('delete', one, send('DELETE', `/${infoHash}?data=remove`), 404);
});

test('ten thousand files cost the list nothing, and their detail little', async () => {
  const files = Array.from({ length: 10_000 }, (_, index) => ({ length: 100, path: [`${index} a rather long name.mp3`] }));
  const torrent = torrentBytes(folderInfo(files));
  assert.is((await addTorrent(torrent)).status, 201);
  const { infoHash } = readTorrent(torrent);
  assert.is((await detail(infoHash)).files.length, 10_000);
  for (const path of ['', `/${infoHash}`]) {
    const response = await fetch(`${kept.origin}/api/titles${path}?files=no`);
    assert.ok((await response.text()).length < 2_000, path);
  }
});

test('a process that ends has kept its titles', async () => {
  const first = await keepTitles();
  await first.shoal.titles.library.add({ link: MAGNET });
  await first.shoal.titles.library.pause(HASH);
  await first.stop();
  const second = await keepTitles({ dataDir: first.dataDir });
  await until('it is there', () => second.shoal.titles.library.count === 1);
  const [title] = second.shoal.titles.library.list();
  assert.equal([title?.id, title?.name, title?.state], [HASH, 'Coffee', 'paused']);
  await second.stop();
});

test('a title that was paused before a restart tells what is here, plays it, and goes on when it is asked to', async () => {
  const source = join(temporaryFolder('source'), 'film.mp4');
  writeRandomFile(source, 200_000, 5);
  const torrent = makeTorrent(source, { pieceLengthBytes: 65_536 });
  const first = await keepTitles();
  const added = await first.shoal.titles.library.add({ torrent: torrent.file() }, { folder: dirname(source) });
  await until('it is complete', () => first.shoal.titles.library.list()[0]?.state === 'seeding');
  await first.shoal.titles.library.pause(added.id);
  await first.stop();
  const second = await keepTitles({ dataDir: first.dataDir });
  const { library } = second.shoal.titles;
  await until('what is here is known', () => library.list()[0]?.progress === 1);
  assert.is(library.list()[0]?.state, 'paused');
  const file = await fetch(second.origin + added.files[0]?.play, { headers: { Range: 'bytes=100000-' } });
  assert.is((await file.arrayBuffer()).byteLength, 100_000);
  await library.resume(added.id);
  assert.is(library.list()[0]?.state, 'seeding');
  await library.remove(added.id, { withData: true });
  assert.ok(existsSync(source));
  await second.stop();
});

test.run();
