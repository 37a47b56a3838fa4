/** Web seeds against real servers: the bytes that were asked for or words why not, bounded, and never where they have no business. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSeedClient, type WebSeedOptions } from '../../src/io/titles/web-seed-client.js';
import { ShoalError } from '../../src/kernel/errors.js';
import type { Metainfo } from '../../src/vod/metainfo.js';
import { freePort } from '../support/free-port.js';
import { MemoryLog } from '../support/memory-log.js';
import { folderInfo, readTorrent, torrentBytes } from '../support/metainfo-fixture.js';
import { whenListening } from '../support/nginx-rtmp-origin.js';
import { Program, temporaryFolder } from '../support/program.js';
import { SeedServer } from '../support/seed-server.js';
import { until } from '../support/until.js';

const PATHS = [['A & B #1?.mkv'], ['Sub dir', "50%'s ü.srt"], ['.pad', '4'], ['empty'], ['z.bin']];
const SIZES = [100_000, 3333, 4, 0, 2_000_000];
const CONTENTS = SIZES.map((size, index) => (index === 2 ? Buffer.alloc(size) : randomBytes(size)));
const WHOLE = Buffer.concat(CONTENTS);
const TITLE = readTorrent(
  torrentBytes(folderInfo(PATHS.map((path, index) => ({ path, length: SIZES[index], ...(index === 2 ? { attr: 'p' } : {}) })))),
);
const SINGLE = readTorrent(torrentBytes({ length: 100_000, pieces: new Uint8Array(140) }));
const FILES = new Map(PATHS.flatMap((path, index) => (index === 2 ? [] : [[`/folder/${path.join('/')}`, CONTENTS[index] as Buffer]])));
FILES.set('/film.mkv', CONTENTS[0] as Buffer).set('/elsewhere', CONTENTS[0] as Buffer);

const test = suite<{ server: SeedServer; clients: WebSeedClient[] }>('web seed client');

test.before.each(async (context) => {
  context.server = await SeedServer.start(FILES);
  context.clients = [];
});
test.after.each(async ({ server, clients }) => {
  for (const client of clients) client.close();
  await server.stop();
});

function open(context: { server: SeedServer; clients: WebSeedClient[] }, options: Partial<WebSeedOptions> = {}): WebSeedClient {
  const limits = { pauseMinMs: 0, headMs: 300, silenceMs: 300, ...options.limits };
  const client = new WebSeedClient({ url: context.server.url, metainfo: TITLE, log: new MemoryLog(), trust: 'user', ...options, limits });
  context.clients.push(client);
  return client;
}

async function collect(client: WebSeedClient, fromByte: number, lengthBytes: number, metainfo: Metainfo = TITLE): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const piece = Math.floor(fromByte / metainfo.pieceLengthBytes);
  for await (const chunk of client.fetch(piece, fromByte % metainfo.pieceLengthBytes, lengthBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function failureOf(fetching: Promise<unknown>): Promise<string> {
  return fetching.then(
    () => 'fetched',
    (error: unknown) => (error instanceof ShoalError && error.code === 'WEB_SEED_FAILED' ? error.message : `other: ${String(error)}`),
  );
}

test('any range of a folder is fetched, over names that need escapes, pad files and empty ones', async (context) => {
  const client = open(context);
  const ranges = [
    [0, 1],
    [99_999, 2],
    [99_990, 3400],
    [0, WHOLE.length],
    [103_333, 4],
    [103_330, 50],
    [WHOLE.length - 1, 1],
  ];
  for (const [fromByte = 0, lengthBytes = 0] of ranges) {
    assert.ok(
      (await collect(client, fromByte, lengthBytes)).equals(WHOLE.subarray(fromByte, fromByte + lengthBytes)),
      `${fromByte}+${lengthBytes}`,
    );
  }
  assert.not(context.server.seen.some(({ path }) => path.includes('.pad') || path.endsWith('empty')));
  assert.equal(new Set(context.server.seen.map(({ connection }) => connection)).size, 1, 'one connection is kept for all');
});

test('a single file is at the URL itself or below it', async (context) => {
  for (const url of [`${context.server.url}elsewhere`, context.server.url]) {
    const client = open(context, { url, metainfo: SINGLE });
    assert.ok((await collect(client, 20_000, 5000, SINGLE)).equals(WHOLE.subarray(20_000, 25_000)));
  }
  assert.equal(
    context.server.seen.map(({ path, range }) => [path, range]),
    [
      ['/elsewhere', 'bytes=20000-24999'],
      ['/film.mkv', 'bytes=20000-24999'],
    ],
  );
});

test('several ranges at once do not disturb each other', async (context) => {
  const client = open(context);
  const starts = Array.from({ length: 20 }, (_, index) => index * 100_000);
  const parts = await Promise.all(starts.map((start) => collect(client, start, 90_000)));
  assert.ok(parts.every((part, index) => part.equals(WHOLE.subarray(index * 100_000, index * 100_000 + 90_000))));
});

test('a server that gives less than asked is asked for the rest', async (context) => {
  context.server.behave = (request, response) => {
    const first = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
    const part = CONTENTS[0]?.subarray(first, Math.min(first + 10_000, 35_005)) as Buffer;
    response.writeHead(206, { 'content-range': `bytes ${first}-${first + part.length - 1}/100000` }).end(part);
    return true;
  };
  assert.ok((await collect(open(context), 5, 35_000)).equals(WHOLE.subarray(5, 35_005)));
  assert.is(context.server.seen.length, 4);
});

test('a server without ranges is read into when that is cheap, and cut off after', async (context) => {
  const client = open(context);
  context.server.behave = (request, response) => {
    const content = request.url?.endsWith('z.bin') ? CONTENTS[4] : CONTENTS[0];
    response.writeHead(200, { 'content-length': content?.length ?? 0 }).end(content);
    return true;
  };
  assert.ok((await collect(client, 50_000, 1000)).equals(WHOLE.subarray(50_000, 51_000)));
  await until('the connection is closed', () => context.server.openCount === 0);
  assert.match(await failureOf(collect(client, WHOLE.length - 100, 100)), /ignores ranges and sends whole files/);
  assert.ok(client.waitMs > 500_000);
});

type Behaviour = (request: IncomingMessage, response: ServerResponse) => unknown;

const WRONGS: readonly (readonly [reason: RegExp, behave: Behaviour])[] = [
  [/answers 503/, (_, response) => response.writeHead(503).end()],
  [/answers 418/, (_, response) => response.writeHead(418).end('no')],
  [/its file has 7 bytes, the title's 100000/, (_, response) => response.writeHead(206, { 'content-range': 'bytes 0-4/7' }).end('aaaaa')],
  [/its file has 7 bytes/, (_, response) => response.writeHead(200, { 'content-length': 7 }).end('aaaaaaa')],
  [/answers bytes 5-9 where 0-999/, (_, response) => response.writeHead(206, { 'content-range': 'bytes 5-9/100000' }).end('aaaaa')],
  [/"Content-Range: "/, (_, response) => response.writeHead(206).end('a'.repeat(1000))],
  [/encoding "gzip"/, (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
  [/ends 990 bytes early/, (_, response) => response.writeHead(206, { 'content-range': 'bytes 0-999/100000' }).end('a'.repeat(10))],
  [/aborted|ECONNRESET|socket hang up/, (request) => request.socket.destroy()],
  [/no answer within 300 ms/, () => undefined],
  [/sends nothing for 300 ms/, (_, response) => response.writeHead(206, { 'content-range': 'bytes 0-999/100000' }).write('a')],
  [/redirects more than 5 times/, (_, response) => response.writeHead(302, { location: '/again' }).end()],
  [/redirects to file:/, (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()],
  [/no address/, (_, response) => response.writeHead(302, { location: 'http://[' }).end()],
  [/Overflow|too large|HPE/i, (_, response) => response.writeHead(206, { 'x-big': 'a'.repeat(40_000) }).end()],
  [/Parse Error/, (request) => request.socket.end('SSH-2.0-OpenSSH_9.9\r\n\r\n')],
];

test('every wrong answer is a failure with words, and the seed waits', async (context) => {
  for (const [reason, behave] of WRONGS) {
    const client = open(context, { limits: { pauseMinMs: 50, headMs: 300, silenceMs: 300 } });
    context.server.behave = (request, response) => {
      behave(request, response);
      return true;
    };
    assert.match(await failureOf(collect(client, 0, 1000)), reason);
    assert.ok(client.waitMs > 0, `${reason} makes it wait`);
    assert.match(await failureOf(collect(client, 0, 1000)), /waited for after a failure|does not have/);
    client.close();
  }
});

test('more bytes than were asked for are not taken', async (context) => {
  context.server.behave = (_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-999/100000' }).end(Buffer.concat([WHOLE.subarray(0, 1000), randomBytes(500_000)]));
    return true;
  };
  const client = open(context);
  assert.ok((await collect(client, 0, 1000)).equals(WHOLE.subarray(0, 1000)));
  await until('the connection is closed', () => context.server.openCount === 0);
  assert.ok(client.receivedBytes < 200_000);
});

test('pauses double up to a bound, are told once, and end with success', async (context) => {
  const log = new MemoryLog();
  const client = open(context, { log, limits: { pauseMinMs: 1, pauseMaxMs: 40 } });
  let isDown = true;
  context.server.behave = (request) => isDown && Boolean(request.socket.destroy());
  const waits: number[] = [];
  for (let round = 0; round < 8; round++) {
    await until('the pause is over', () => client.waitMs === 0);
    await failureOf(collect(client, 0, 10));
    waits.push(client.waitMs);
  }
  assert.ok(Math.max(...waits) <= 40 && (waits.at(-1) ?? 0) > 20, waits.join());
  assert.is(log.lines.filter(({ level }) => level === 'warn').length, 1);
  assert.not.match(JSON.stringify(log.lines), /127\.0\.0\.1/);
  isDown = false;
  await until('the pause is over', () => client.waitMs === 0);
  assert.ok((await collect(client, 0, 10)).equals(WHOLE.subarray(0, 10)));
});

test('a file that the seed does not have is not asked for again, the others are', async (context) => {
  context.server.behave = (request, response) => Boolean(request.url?.includes('Sub') && response.writeHead(404).end());
  const client = open(context);
  assert.match(await failureOf(collect(client, 100_000, 10)), /answers 404/);
  const [{ firstPiece, lastPiece } = { firstPiece: -1, lastPiece: -1 }] = client.lackedPieces;
  assert.ok(firstPiece > 0 && firstPiece <= 6 && lastPiece >= 6);
  assert.match(await failureOf(collect(client, 99_999, 2)), /does not have "Sub dir/);
  assert.ok((await collect(client, 0, 100)).equals(WHOLE.subarray(0, 100)));
  assert.is(context.server.seen.filter(({ path }) => path.includes('Sub')).length, 1);
});

test('what the server asks for with Retry-After is kept', async (context) => {
  context.server.behave = (_, response) => Boolean(response.writeHead(503, { 'retry-after': '120' }).end());
  const client = open(context);
  await failureOf(collect(client, 0, 10));
  assert.ok(client.waitMs > 119_000 && client.waitMs <= 120_000);
});

test('a redirect is followed and its target remembered until it fails', async (context) => {
  context.server.behave = (request, response) =>
    Boolean(request.url === '/film.mkv' && response.writeHead(302, { location: '/elsewhere' }).end());
  const client = open(context, { metainfo: SINGLE });
  for (const start of [0, 500]) assert.ok((await collect(client, start, 500, SINGLE)).equals(WHOLE.subarray(start, start + 500)));
  assert.equal(
    context.server.seen.map(({ path }) => path),
    ['/film.mkv', '/elsewhere', '/elsewhere'],
  );
});

test('abort ends it at once, with its reason, and closes the connection', async (context) => {
  context.server.behave = (_, response) => Boolean(response.writeHead(206, { 'content-range': 'bytes 0-99999/100000' }).write('x'));
  const abort = new AbortController();
  const client = open(context, { limits: { silenceMs: 60_000, headMs: 60_000 } });
  let failure: unknown;
  try {
    for await (const _ of client.fetch(0, 0, 100_000, abort.signal)) abort.abort(new Error('seek'));
  } catch (error) {
    failure = error;
  }
  assert.is((failure as Error).message, 'seek');
  assert.is(client.waitMs, 0, 'the seed is not to blame');
  await until('the connection is closed', () => context.server.openCount === 0);
});

test('an abort before the answer, and one before the start, end it too', async (context) => {
  context.server.behave = () => true;
  const client = open(context, { limits: { headMs: 60_000 } });
  const abort = new AbortController();
  const fetching = client.fetch(0, 0, 10, abort.signal).next();
  await until('the request is there', () => context.server.seen.length === 1);
  abort.abort(new Error('seek'));
  const reasons = await Promise.allSettled([fetching, client.fetch(0, 0, 10, abort.signal).next()]);
  assert.equal(
    reasons.map((one) => one.status === 'rejected' && (one.reason as Error).message),
    ['seek', 'seek'],
  );
  await until('the connection is closed', () => context.server.openCount === 0);
});

test('a reader that stops taking stops the server, and one that leaves closes the connection', async (context) => {
  const big = 200_000_000;
  const metainfo = readTorrent(torrentBytes({ length: big, pieces: new Uint8Array(20 * Math.ceil(big / 16_384)) }));
  let sentBytes = 0;
  context.server.behave = (_, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-${big - 1}/${big}`, 'content-length': big });
    const chunk = Buffer.alloc(65_536);
    const send = (): void => {
      while (sentBytes < big && response.write(chunk)) sentBytes += chunk.length;
    };
    response.on('drain', send);
    send();
    return true;
  };
  const reading = open(context, { metainfo }).fetch(0, 0, big);
  await reading.next();
  let lastBytes = -1;
  await until('the server stands still', () => {
    const isStill = sentBytes === lastBytes;
    lastBytes = sentBytes;
    return isStill;
  });
  assert.ok(sentBytes < 20_000_000, `${sentBytes} bytes were sent to nobody`);
  await reading.return();
  await until('the connection is closed', () => context.server.openCount === 0);
});

test('a connection that the server closed meanwhile costs no failure', async (context) => {
  const client = open(context);
  await collect(client, 0, 10);
  context.server.behave = (request) => {
    context.server.behave = () => false;
    return Boolean(request.socket.destroy());
  };
  assert.ok((await collect(client, 0, 10)).equals(WHOLE.subarray(0, 10)));
});

test('a seed that is condemned or closed is never asked again', async (context) => {
  const client = open(context);
  client.condemn('it sent wrong bytes');
  assert.is(client.waitMs, Number.POSITIVE_INFINITY);
  assert.match(await failureOf(collect(client, 0, 10)), /it sent wrong bytes/);
  const closed = open(context);
  closed.close();
  assert.match(await failureOf(collect(closed, 0, 10)), /it was closed/);
  assert.is(context.server.seen.length, 0);
});

test('closing ends what is being fetched, what waits for a connection too', async (context) => {
  context.server.behave = () => true;
  const log = new MemoryLog();
  const client = open(context, { log, limits: { headMs: 60_000 } });
  const fetching = Array.from({ length: 20 }, () => failureOf(collect(client, 0, 10)));
  await until('some requests are there', () => context.server.seen.length >= 8);
  client.close();
  for (const failure of await Promise.all(fetching)) assert.match(failure, /the seed was closed/);
  await until('the connections are closed', () => context.server.openCount === 0);
  assert.equal(log.lines, []);
});

test('a seed that a torrent names reaches neither this machine nor its network', async (context) => {
  const { port } = context.server;
  const hosts = [
    '127.0.0.1',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '10.0.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '0.0.0.0',
    '[fe80::1]',
    '100.64.0.1',
  ];
  for (const host of hosts) {
    const client = open(context, { url: `http://${host}:${port}/`, trust: 'foreign' });
    assert.match(await failureOf(collect(client, 0, 10)), /of this machine or of a private network/, host);
  }
  assert.is(context.server.seen.length, 0);
});

test('what the user named may be on this machine, but not with a query', async (context) => {
  assert.match(await failureOf(collect(open(context, { url: `${context.server.url}?cmd=reboot` }), 0, 10)), /private network/);
  assert.is(context.server.seen.length, 0);
  assert.ok((await collect(open(context, { url: `http://localhost:${context.server.port}/` }), 0, 10)).equals(WHOLE.subarray(0, 10)));
});

test('a redirect on this machine is followed only without a query', async (context) => {
  context.server.behave = (request, response) =>
    Boolean(request.url === '/film.mkv' && response.writeHead(302, { location: '/elsewhere?cmd=1' }).end());
  const client = open(context, { metainfo: SINGLE });
  assert.match(await failureOf(collect(client, 0, 10, SINGLE)), /private network/);
  assert.equal(
    context.server.seen.map(({ path }) => path),
    ['/film.mkv'],
  );
});

test('nginx as a seed: every byte of the title', async (context) => {
  const folder = temporaryFolder('nginx-seed');
  for (const [path, bytes] of FILES) {
    mkdirSync(join(folder, 'www', dirname(path)), { recursive: true });
    writeFileSync(join(folder, 'www', path), bytes);
  }
  const port = await freePort();
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/nginx.pid; events { worker_connections 64; }
    http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      server { listen 127.0.0.1:${port}; root ${folder}/www; } }`,
  );
  const nginx = new Program('/usr/sbin/nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]);
  await whenListening(port, () => nginx.exit === undefined);
  const client = open(context, { url: `http://127.0.0.1:${port}`, limits: { headMs: 5000, silenceMs: 5000 } });
  const digest = createHash('sha1')
    .update(await collect(client, 0, WHOLE.length))
    .digest('hex');
  assert.is(digest, createHash('sha1').update(WHOLE).digest('hex'));
  assert.ok((await collect(client, 99_000, 5000)).equals(WHOLE.subarray(99_000, 104_000)));
  await nginx.stop();
});

test.run();
