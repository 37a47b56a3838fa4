/** Ranges, conditions and methods, side by side with nginx: what differs is named with its reason, everything else is equal. */
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import { mountPlayback, type Playback } from '../../src/plugins/titles/playback.js';
import { FileTitle, libraryOf } from '../support/file-title.js';
import { MemoryLog } from '../support/memory-log.js';
import { NginxFiles } from '../support/nginx-files.js';
import { temporaryFolder } from '../support/program.js';
import { ask, type RawAnswer, request } from '../support/raw-http.js';

const LENGTH = 300_007;
const CREATED_S = 1_700_000_000;
const DATE = 'Tue, 14 Nov 2023 22:13:20 GMT';
const EARLIER = 'Tue, 14 Nov 2023 22:13:19 GMT';
const LATER = 'Wed, 15 Nov 2023 00:00:00 GMT';
const TAG = '{TAG}';
const many = (count: number, step = 10): string =>
  Array.from({ length: count }, (_, index) => `${index * step}-${index * step + 1}`).join(',');

/** Fields of a request; `{TAG}` is the server's own entity tag. */
const CASES: readonly (readonly string[])[] = [
  [],
  ['Range: bytes=0-0'],
  ['Range: bytes=0-99'],
  ['Range: bytes=100-'],
  ['Range: bytes=0-'],
  [`Range: bytes=0-${LENGTH - 1}`],
  [`Range: bytes=${LENGTH - 1}-`],
  [`Range: bytes=${LENGTH - 1}-${LENGTH + 50}`],
  [`Range: bytes=5-${LENGTH * 10}`],
  ['Range: bytes=-1'],
  ['Range: bytes=-500'],
  [`Range: bytes=-${LENGTH}`],
  [`Range: bytes=-${LENGTH + 1}`],
  ['Range: bytes=-0'],
  [`Range: bytes=${LENGTH}-`],
  [`Range: bytes=${LENGTH}-${LENGTH + 5}`],
  ['Range: bytes=9999999999-'],
  ['Range: bytes=abc'],
  ['Range: bytes=1-x'],
  ['Range: bytes=-'],
  ['Range: bytes='],
  ['Range: bytes=5-2'],
  ['Range: bytes=--5'],
  ['Range: bytes=1.5-9'],
  ['Range: bytes 0-5'],
  ['Range: chunks=0-5'],
  ['Range: BYTES=3-8'],
  ['Range: bytes= 3 - 8 '],
  ['Range: bytes=0-0,-1'],
  ['Range: bytes=0-9,20-29,100-199'],
  ['Range: bytes=100-199,0-9'],
  ['Range: bytes=0-9, 20-29'],
  ['Range: bytes=0-9,5-14'],
  [`Range: bytes=0-9,${LENGTH + 1}-`],
  [`Range: bytes=${LENGTH + 1}-,${LENGTH + 7}-`],
  ['Range: bytes=0-,0-'],
  [`Range: bytes=${many(16)}`],
  [`Range: bytes=${many(17)}`],
  [`If-None-Match: ${TAG}`],
  [`If-None-Match: W/${TAG}`],
  [`If-None-Match: "other", ${TAG}`],
  ['If-None-Match: "other"'],
  ['If-None-Match: *'],
  [`If-None-Match: ${TAG}`, 'Range: bytes=0-9'],
  [`If-Modified-Since: ${DATE}`],
  [`If-Modified-Since: ${EARLIER}`],
  [`If-Modified-Since: ${LATER}`],
  ['If-Modified-Since: yesterday'],
  ['If-None-Match: "other"', `If-Modified-Since: ${DATE}`],
  [`If-Match: ${TAG}`],
  ['If-Match: "other"'],
  ['If-Match: *', 'Range: bytes=0-9'],
  [`If-Unmodified-Since: ${DATE}`],
  [`If-Unmodified-Since: ${EARLIER}`],
  [`If-Range: ${TAG}`, 'Range: bytes=10-19'],
  ['If-Range: "other"', 'Range: bytes=10-19'],
  [`If-Range: W/${TAG}`, 'Range: bytes=10-19'],
  [`If-Range: ${DATE}`, 'Range: bytes=10-19'],
  [`If-Range: ${EARLIER}`, 'Range: bytes=10-19'],
  [`If-Range: ${LATER}`, 'Range: bytes=10-19'],
  ['If-Range: "other"', `Range: bytes=${LENGTH}-`],
  [`If-Range: ${TAG}`, `Range: bytes=${LENGTH}-`],
];

const log = new MemoryLog();
const folder = temporaryFolder('ranges');
const content = Buffer.from(Uint8Array.from({ length: LENGTH }, (_, index) => (index * 31 + (index >> 8)) & 255));
let server: HttpServer;
let nginx: NginxFiles;
let playback: Playback;
let title: FileTitle;

test.before(async () => {
  for (const [name, bytes] of [
    ['film.mp4', content],
    ['empty.mp4', Buffer.alloc(0)],
  ] as const) {
    writeFileSync(join(folder, name), bytes);
    utimesSync(join(folder, name), CREATED_S, CREATED_S);
  }
  title = new FileTitle([join(folder, 'film.mp4'), join(folder, 'empty.mp4')], { createdS: CREATED_S });
  server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  playback = mountPlayback(server, libraryOf(title), { key: new Uint8Array(32), log });
  nginx = await NginxFiles.start(folder);
});

test.after(async () => {
  await playback.stop();
  await server.stop();
  await nginx.stop();
});

/** One part of an answer, whatever its form. */
interface Part {
  readonly range: string;
  readonly type: string;
  readonly bytes: string;
}

function partsOf({ status, headers, body }: RawAnswer): readonly Part[] {
  const { 'content-type': type = '', 'content-range': range = '' } = headers;
  if (status !== 200 && status !== 206) return [];
  const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(type)?.[1];
  if (boundary === undefined) return [{ range, type, bytes: body.toString('base64') }];
  const pieces = body.toString('latin1').split(`\r\n--${boundary}`);
  assert.is(pieces[0], '');
  assert.is(pieces.at(-1), '--\r\n');
  return pieces.slice(1, -1).map((piece) => {
    const end = piece.indexOf('\r\n\r\n');
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(piece.slice(0, end))?.[1]?.trim() ?? '';
    return {
      range: field('content-range'),
      type: field('content-type'),
      bytes: Buffer.from(piece.slice(end + 4), 'latin1').toString('base64'),
    };
  });
}

/** What must be equal. The length field is compared with the body of the same answer, as boundaries differ. */
function essence(answer: RawAnswer, method: string) {
  const { status, headers, body } = answer;
  const isMultipart = headers['content-type']?.startsWith('multipart') === true;
  if (method === 'GET' && (status === 200 || status === 206)) assert.is(Number(headers['content-length']), body.length);
  if (method === 'HEAD') assert.is(body.length, 0);
  return {
    status,
    parts: method === 'GET' ? partsOf(answer) : [],
    type: status < 300 && !isMultipart ? headers['content-type'] : isMultipart,
    length: method === 'HEAD' && status < 300 && !isMultipart ? headers['content-length'] : '',
    range: headers['content-range'] ?? '',
    acceptsRanges: status === 200 ? headers['accept-ranges'] : '',
    modified: status < 400 ? headers['last-modified'] : '',
  };
}

async function both(method: string, name: string, fields: readonly string[]) {
  const ours = new URL(playback.addressesOf(title, title.files[name === 'film.mp4' ? 0 : 1] as never).url);
  const path = ours.pathname + ours.search;
  const tags = await Promise.all([tagAt(server.port, path), tagAt(nginx.port, `/${name}`)]);
  const send = (port: number, target: string, tag: string): Promise<RawAnswer> =>
    ask(port, request(target, { method, headers: [...fields.map((field) => field.replace(TAG, tag)), 'Connection: close'] }));
  return [await send(server.port, path, tags[0]), await send(nginx.port, `/${name}`, tags[1])] as const;
}

async function tagAt(port: number, path: string): Promise<string> {
  return (await ask(port, request(path, { method: 'HEAD', headers: ['Connection: close'] }))).headers['etag'] ?? '';
}

for (const method of ['GET', 'HEAD']) {
  test(`${method} of ${CASES.length} kinds is answered as by nginx, byte for byte`, async () => {
    const differing: string[] = [];
    for (const fields of CASES) {
      const [ours, theirs] = (await both(method, 'film.mp4', fields)).map((answer) => JSON.stringify(essence(answer, method)));
      if (ours !== theirs) differing.push(`${fields.join(' | ')}\n  ours   ${ours?.slice(0, 300)}\n  theirs ${theirs?.slice(0, 300)}`);
    }
    assert.is(differing.join('\n'), '');
  });
}

test('an empty file is answered as by nginx', async () => {
  for (const fields of [[], ['Range: bytes=0-'], ['Range: bytes=-5'], ['Range: bytes=0-0'], ['Range: bytes=5-']]) {
    const [ours, theirs] = (await both('GET', 'empty.mp4', fields)).map((answer) => essence(answer, 'GET'));
    assert.equal(ours, theirs, fields.join());
  }
});

test('a method that changes things is refused, with the ones there are', async () => {
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const [ours, theirs] = await both(method, 'film.mp4', ['Content-Length: 0']);
    assert.equal([ours.status, theirs.status], [405, 405]);
    assert.is(ours.headers['allow'], 'GET, HEAD');
  }
});

test('HEAD, 304, 412 and 416 open no reading', async () => {
  title.openedCount = 0;
  for (const [method, field] of [
    ['HEAD', 'X: 1'],
    ['GET', 'If-None-Match: *'],
    ['GET', 'If-Match: "x"'],
    ['GET', `Range: bytes=${LENGTH}-`],
  ] as const)
    await both(method, 'film.mp4', [field]);
  assert.is(title.openedCount, 0);
});

test('an empty element of the list means nothing (RFC 9110, 5.6.1), where nginx refuses the field', async () => {
  const [ours] = await both('GET', 'film.mp4', ['Range: bytes=0-9,,20-29']);
  assert.is(partsOf(ours).length, 2);
});

test.run();
