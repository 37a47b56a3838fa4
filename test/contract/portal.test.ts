import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChannelStatus } from '../../src/relay/endpoints/channel-status.js';
import { TagFeed } from '../../src/relay/endpoints/tag-feed.js';
import { publishLive, recordFlv } from '../support/flv-recording.js';
import { mismatch, type OpenApiDocument } from '../support/openapi-check.js';
import { IDLE_STATUS, type PortalFixture, startPortal } from '../support/portal-fixture.js';
import { until } from '../support/until.js';

const KEYS = ['0a'.repeat(32), '1b'.repeat(32)] as const;
/** A delegated station that stands by, with all that can be told of publishers. */
const CONTESTED: ChannelStatus = {
  ...IDLE_STATUS,
  role: 'publisher',
  publishers: KEYS.map((key) => ({ key, windows: 3, lastSeconds: 0.4 })),
  conflict: { publishers: KEYS, window: 12 },
  alignment: { state: 'standby', detail: 'the swarm shows other content', offsetMs: -2020 },
  authority: 'delegated',
  publisherKey: KEYS[1],
  certificateUntil: '2027-01-31T12:00:00.000Z',
};

let portal: PortalFixture;
let id = '';

test.before(async () => {
  portal = await startPortal();
  id = portal.channel('test-card', {
    name: 'Test card',
    status: () => ({ ...IDLE_STATUS, live: true, shareFromPeers: 0.4, delayMs: 900 }),
  }).id;
  portal.channel('other');
  portal.channel('contested', { status: () => CONTESTED });
});

test.after(() => portal.stop());

async function readDocument(): Promise<OpenApiDocument> {
  return (await (await fetch(`${portal.origin}/api/openapi.json`)).json()) as OpenApiDocument;
}

test('every route of the OpenAPI document answers as the document says, known channel or not', async () => {
  const document = await readDocument();
  assert.is(document.openapi, '3.1.0');
  let checked = 0;
  for (const [path, { get }] of Object.entries(document.paths)) {
    // Those of titles are looked at in titles-api.test.ts.
    if (path.startsWith('/api/titles') || get === undefined) continue;
    for (const wanted of ['200', '404']) {
      if (get.responses[wanted] === undefined) continue;
      const response = await fetch(`${portal.origin}${path.replace('{id}', wanted === '200' ? id : 'f'.repeat(40))}`);
      assert.is(String(response.status), wanted, path);
      const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
      const schema = get.responses[wanted].content?.[type]?.schema;
      assert.ok(schema, `${path} answers ${type}`);
      const value = type === 'application/json' ? await response.json() : await response.text();
      assert.is(mismatch(document, schema, value, path), null);
      checked += 1;
    }
  }
  assert.is(checked, 8);
});

test('the check of the document finds what is wrong', async () => {
  const document = await readDocument();
  const schema = { $ref: '#/components/schemas/Channel' };
  const channel = (await (await fetch(`${portal.origin}/api/channels/${id}`)).json()) as Record<string, unknown>;
  assert.is(mismatch(document, schema, channel, 'x'), null);
  assert.is(mismatch(document, schema, { ...channel, more: 1 }, 'x'), 'x.more is not in the document');
  assert.is(mismatch(document, schema, { ...channel, slug: 'a b' }, 'x'), 'x.slug does not match ^[A-Za-z0-9_-]+$');
  assert.is(mismatch(document, schema, { ...channel, status: null }, 'x'), 'x.status is null, not object');
});

test('publishers, conflict and alignment are told as they are, and the document says their shapes', async () => {
  const document = await readDocument();
  const { channels } = (await (await fetch(`${portal.origin}/api/channels`)).json()) as {
    channels: { slug: string; status: ChannelStatus }[];
  };
  const status = channels.find(({ slug }) => slug === 'contested')?.status;
  assert.equal(status, CONTESTED);
  const judge = (part: object): string | null =>
    mismatch(document, { $ref: '#/components/schemas/ChannelStatus' }, { ...status, ...part }, 's');
  assert.is(judge({ conflict: null, alignment: null, publishers: [], publisherKey: null }), null);
  assert.is(judge({ publishers: [{ key: 'x', windows: 1, lastSeconds: 0 }] }), 's.publishers[0].key does not match ^[0-9a-f]{64}$');
  assert.is(judge({ publishers: [{ key: KEYS[0], windows: 1 }] }), 's.publishers[0].lastSeconds is missing');
  assert.is(judge({ conflict: { publishers: [KEYS[0]], window: 1 } }), 's.conflict.publishers has 1 items');
  assert.match(judge({ alignment: { state: 'ready', detail: '', offsetMs: 0 } }) ?? '', /^s\.alignment\.state is none of waiting, /);
});

test('every route under /api is in the document', async () => {
  const document = await readDocument();
  const sources = ['portal.ts', 'titles/titles-api.ts'].map((name) => new URL(`../../../src/plugins/${name}`, import.meta.url));
  const routes = sources.flatMap((source) =>
    [...readFileSync(source, 'utf8').matchAll(/server\.(?:get|change)\((?:\[[^\]]*\], )?'(\/(?:api|healthz)[^']*)'/g)].map((match) =>
      (match[1] ?? '').replace(':id', '{id}'),
    ),
  );
  assert.equal([...new Set(routes)].sort(), Object.keys(document.paths).sort());
});

test('no other site can read the API', async () => {
  const response = await fetch(`${portal.origin}/api/channels`, { headers: { Origin: 'http://evil.example' } });
  assert.is(response.headers.get('access-control-allow-origin'), null);
  assert.is(response.headers.get('cache-control'), 'no-store');
});

test('the page and its parts are served, and a browser that has them is told so', async () => {
  const scripts = ['app', 'elements', 'figures', 'player', 'publisher-panel', 'publishers', 'vendor/mpegts', 'vendor/hls'];
  for (const path of ['/', '/style.css', '/icon.svg', ...scripts.map((name) => `/${name}.js`)]) {
    const response = await fetch(portal.origin + path);
    assert.is(response.status, 200, path);
    assert.ok((await response.arrayBuffer()).byteLength > 100, path);
    assert.ok(response.headers.get('cache-control'), path);
    const again = await fetch(portal.origin + path, { headers: { 'If-None-Match': response.headers.get('etag') ?? '' } });
    assert.is(again.status, 304, path);
  }
});

test('every part of the page that the page asks for is served', async () => {
  const folder = new URL('../../../web/', import.meta.url);
  const asked = new Set<string>();
  for (const name of readdirSync(folder)) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    for (const [, path = ''] of text.matchAll(/(?:from |src=|href=|loadScript\()["'](\/[^"']+)["']/g)) asked.add(path);
  }
  assert.ok(asked.size > 8);
  for (const path of asked) assert.is((await fetch(portal.origin + path)).status, 200, path);
});

test('no path reaches a file outside the list', async () => {
  for (const path of ['/package.json', '/web/index.html', '/vendor/../package.json', '/%2e%2e/package.json', '/vendor/koa']) {
    assert.is((await fetch(portal.origin + path)).status, 404, path);
  }
});

test('the page has no script of its own in it, and loads nothing from elsewhere', async () => {
  const html = await (await fetch(`${portal.origin}/`)).text();
  assert.not.match(html, /<script(?![^>]*\bsrc=)/);
  assert.not.match(html, /\son[a-z]+=|style="|https?:\/\//);
});

test('a channel that is added is served by FLV and HLS, and counted; one that is removed is gone', async () => {
  const feed = new TagFeed();
  const publisher = publishLive(feed, await recordFlv('h264-aac', 6), 8000);
  const channel = portal.channel('brief', { feed });
  assert.is(portal.portal.playersOf(channel.slug), 0);
  const stream = await fetch(`${portal.origin}/live/brief.flv`);
  const reader = stream.body?.getReader();
  const first = await reader?.read();
  assert.equal([...(first?.value?.subarray(0, 3) ?? [])], [0x46, 0x4c, 0x56]);
  assert.is(portal.portal.playersOf(channel.slug), 1);
  const playlist = await fetch(`${portal.origin}/live/brief/index.m3u8`);
  assert.match(await playlist.text(), /#EXTINF/);
  assert.is(portal.portal.playersOf(channel.slug), 2);
  publisher.stop();
  portal.portal.remove('brief');
  for (let ended = false; !ended; ) ended = (await reader?.read())?.done ?? true;
  for (const path of ['/live/brief.flv', '/live/brief/index.m3u8', `/api/channels/${channel.id}`])
    assert.is((await fetch(portal.origin + path)).status, 404, path);
});

test('a slug that is in use or is none is our own mistake', () => {
  assert.throws(() => portal.channel('other'), /mounted once/);
  assert.throws(() => portal.channel('a/b'), /letters, digits/);
});

test('leaving players are no longer counted', async () => {
  const feed = new TagFeed();
  const publisher = publishLive(feed, await recordFlv('h264-aac', 6), 3000);
  const channel = portal.channel('leaving', { feed });
  const abort = new AbortController();
  await fetch(`${portal.origin}/live/leaving.flv`, { signal: abort.signal });
  assert.is(portal.portal.playersOf(channel.slug), 1);
  abort.abort();
  await until('it is gone', () => portal.portal.playersOf(channel.slug) === 0);
  publisher.stop();
  portal.portal.remove('leaving');
});

test.run();
