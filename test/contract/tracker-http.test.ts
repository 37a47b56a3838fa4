/** One HTTP announce against trackers that answer with anything but an answer: a reason for a person, never a crash. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { announceByHttp } from '../../src/io/trackers/tracker-http.js';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { ANNOUNCE } from '../support/announce-fixture.js';
import { makeCertificate } from '../support/certificate.js';

const bencoded = (fields: Parameters<typeof encodeBencode>[0]): Buffer => Buffer.from(encodeBencode(fields));

/** Announces to a tracker that answers as told. */
async function announceTo(
  answer: (response: ServerResponse) => void,
  signal = AbortSignal.timeout(5000),
): ReturnType<typeof announceByHttp> {
  const server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await announceByHttp(`http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`, ANNOUNCE, signal);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const reasonOf = (announce: ReturnType<typeof announceByHttp>): Promise<string> =>
  announce.then(
    () => 'answered',
    (error: unknown) => (error instanceof Error ? error.message : 'no error'),
  );

/** 256 MiB of zeros. */
const BOMB = gzipSync(Buffer.alloc(268_435_456), { level: 1 });
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

const NONSENSE: readonly (readonly [what: string, answer: (response: ServerResponse) => void, reason: RegExp])[] = [
  ['HTML', (response) => response.end('<html>hello</html>'), /no announce response \(bencode: "<"/],
  ['nothing', (response) => response.end(), /no announce response/],
  ['a list', (response) => response.end('le'), /no dictionary/],
  ['deep nesting', (response) => response.end('l'.repeat(200_000)), /nested deeper/],
  ['a refusal', (response) => response.end(bencoded({ 'failure reason': 'go\u001b[31m away' })), /refuses: "go \[31m away"/],
  ['a status of 500', (response) => response.writeHead(500).end('oops'), /HTTP status 500/],
  ['a redirect', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /redirect, which is not followed/],
  ['two million bytes', (response) => response.end(Buffer.alloc(2_000_000, 0x30)), /more than 1048576 bytes/],
  [
    'a broken body',
    (response) => void response.writeHead(200, { 'content-length': 100 }).write('d8:', () => response.destroy()),
    /cannot be reached/,
  ],
  ['a closed connection', (response) => response.destroy(), /cannot be reached/],
  [
    'a quarter of a gigabyte in one megabyte',
    (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(BOMB),
    /more than 1048576 bytes/,
  ],
  ['a chunk of 2^64 bytes', (response) => response.socket?.end(`${CHUNKED}ffffffffffffffff1\r\nd8:interval`), /cannot be reached/],
  ['a chunk of no length', (response) => response.socket?.end(`${CHUNKED}-5\r\nde`), /cannot be reached/],
  ['bad compression', (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip'), /cannot be reached/],
];

for (const [what, answer, reason] of NONSENSE) {
  test(`an answer of ${what} is refused with a reason`, async () => {
    assert.match(await reasonOf(announceTo(answer)), reason);
  });
}

test('an answer that does not come is given up when the signal says so', async () => {
  assert.is(await reasonOf(announceTo(() => undefined, AbortSignal.timeout(50))), 'does not answer in time');
  const stall = (response: ServerResponse): void => void response.writeHead(200).write('d');
  assert.is(await reasonOf(announceTo(stall, AbortSignal.timeout(50))), 'does not answer in time');
});

test('a tracker whose certificate nobody vouches for is not told anything', async () => {
  const { key, certificate } = makeCertificate('IP:127.0.0.1');
  const paths: (string | undefined)[] = [];
  const server = createSecureServer({ key, cert: certificate }, (request) => paths.push(request.url)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/announce`;
  assert.match(
    await reasonOf(announceByHttp(url, ANNOUNCE, AbortSignal.timeout(5000))),
    /cannot be reached \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
  );
  assert.equal(paths, []);
  server.close();
});

test('another service of this machine is not asked, under whatever name', async () => {
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '127.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', '0.0.0.0', '[::]']) {
    const url = `http://${host}:1/api/shutdown?now`;
    assert.match(await reasonOf(announceByHttp(url, ANNOUNCE, AbortSignal.timeout(5000))), /is on this machine/, host);
  }
});

test('only known fields of the right kind are taken from an answer', async () => {
  const response = await announceTo((answer) =>
    answer.end(bencoded({ interval: -1, 'min interval': 'soon', 'tracker id': 'a b', peers: 5, peers6: [], extra: 1 })),
  );
  assert.equal(response, { peers: new Uint8Array(0) });
});

test('a refusal is read whatever the HTTP status is', async () => {
  const refuse = (answer: ServerResponse): void => void answer.writeHead(403).end(bencoded({ 'failure reason': 'not you' }));
  assert.is(await reasonOf(announceTo(refuse)), 'refuses: "not you"');
});

test.run();
