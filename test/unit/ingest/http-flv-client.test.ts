/** The HTTP-FLV client against answers written by hand: the request, what becomes of tags, and which answers are refused how. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpFlvClient } from '../../../src/ingest/http-flv-client.js';
import { parseSourceUrl } from '../../../src/ingest/source-url.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { AUDIO, encodeFlvHeader, encodeTag, type FlvTag, SCRIPT, VIDEO } from '../../../src/media/flv.js';
import { bytesOf } from '../../support/asf-writer.js';
import { SourceDriver } from '../../support/source-driver.js';

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n';
const HEADER = encodeFlvHeader({ audio: true, video: true });
const VIDEO_TAG: FlvTag = { type: VIDEO, timestampMs: 0xfffffff0, body: Uint8Array.of(0x17, 1, 0, 0, 0, 9) };
const AUDIO_TAG: FlvTag = { type: AUDIO, timestampMs: 3, body: Uint8Array.of(0xaf, 1, 7) };
const SCRIPT_TAG: FlvTag = { type: SCRIPT, timestampMs: 0, body: Uint8Array.of(2, 0, 1, 0x61) };

function client(text = 'http://origin.example/live/a.flv?token=secret', redirected = false): SourceDriver {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return new SourceDriver(new HttpFlvClient(url, { redirected })).open();
}

function outcomeOf(answer: string, text?: string): string {
  return client(text).receive(answer).outcome;
}

function plain(tags: readonly FlvTag[]): unknown {
  return tags.map(({ type, timestampMs, body }) => [type, timestampMs, ...body]);
}

test('it asks once, without compression, and reads until the connection ends', () => {
  const driver = client();
  assert.equal(driver.connects, [{ host: 'origin.example', port: 80, redirected: false }]);
  assert.is(
    driver.sentText,
    'GET /live/a.flv?token=secret HTTP/1.1\r\nHost: origin.example\r\nAccept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: Shoal\r\n' +
      'Connection: close\r\n\r\n',
  );
});

test('https is asked for at 443 and over TLS, a named port at that port', () => {
  const driver = client('https://[::1]/a.flv', true);
  assert.equal(driver.connects, [{ host: '::1', port: 443, redirected: true }]);
  assert.is(driver.isSecure, true);
  assert.match(client('http://h:8000/a.flv').sentText, /Host: h:8000\r\n/);
});

test('tags come out in order, with raw times, however the bytes are cut and framed', () => {
  const body = bytesOf(
    HEADER,
    encodeTag(SCRIPT_TAG),
    encodeTag(VIDEO_TAG),
    encodeTag({ ...AUDIO_TAG, body: new Uint8Array(0) }),
    encodeTag(AUDIO_TAG),
  );
  const expected = plain([SCRIPT_TAG, VIDEO_TAG, AUDIO_TAG]);
  for (let cut = 0; cut <= body.length; cut++) {
    const driver = client().receive(OK, body.subarray(0, cut)).receive(body.subarray(cut));
    assert.equal(driver.kinds, ['accepted', 'tag', 'tag', 'tag']);
    assert.equal(plain(driver.tags), expected);
  }
  const chunked = client().receive(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    ...[...body].flatMap((byte) => ['1\r\n', [byte], '\r\n']),
  );
  assert.equal(plain(chunked.tags), expected);
  assert.is(chunked.receive('0\r\n\r\n').outcome, 'failed: the server ended its answer');
});

test('what is not FLV is refused in words', () => {
  assert.is(outcomeOf(`${OK}<html>Welcome to nginx</html>`), 'failed: the server answered with something that is not FLV');
  assert.is(outcomeOf(`${OK}F<html>`), 'failed: the server answered with something that is not FLV');
  assert.match(client().receive(OK, [0x46, 0x4c, 0x56, 1, 5, 0xff, 0, 0, 9, 0, 0, 0, 0]).outcome, /not FLV: FLV header size/);
  assert.match(client().receive(OK, HEADER, [9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]).outcome, /not FLV: FLV tag of 16777215 bytes/);
  assert.match(outcomeOf('SSH-2.0-OpenSSH\r\n\r\n'), /not an answer to a request for FLV: the answer is no HTTP/);
  assert.match(outcomeOf(`HTTP/1.1 200 OK\r\n${'x'.repeat(20_000)}`), /is too long/);
});

test('statuses are told in words', () => {
  assert.is(outcomeOf('HTTP/1.1 404 Not Found\r\n\r\n'), 'failed: the server has nothing at this path (status 404)');
  assert.is(outcomeOf('HTTP/1.1 403 Forbidden\r\n\r\n'), 'failed: the server answered with status 403');
  assert.is(outcomeOf('HTTP/1.1 206 Partial Content\r\n\r\n'), 'failed: the server answered with status 206');
  assert.is(
    outcomeOf('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n'),
    'failed: the server encodes its answer although nobody asked for it',
  );
});

test('name and password are sent as Basic, and a challenge means that a person must act', () => {
  const url = 'http://me:p%40ss@h/a.flv';
  assert.match(client(url).sentText, new RegExp(`Authorization: Basic ${btoa('me:p@ss')}\r\n`));
  const challenge = (kind: string): string => `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: ${kind}\r\n\r\n`;
  assert.match(outcomeOf(challenge('Basic realm="x"')), /^failed for good: the server wants a name and a password/);
  assert.match(outcomeOf(challenge('Basic'), url), /^failed for good: the server refuses the name and password/);
  assert.match(outcomeOf(challenge('Digest'), url), /^failed for good: .*only Basic is/);
});

test('a redirect is told, with credentials only within the server they are for', () => {
  const to = (location: string): string => outcomeOf(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\n\r\n`, 'http://me:pw@h/a.flv');
  assert.is(to('/b.flv?x'), 'redirect: http://me%3Apw@h/b.flv?x');
  assert.is(to('http://h/b.flv'), 'redirect: http://me%3Apw@h/b.flv');
  assert.is(to('http://other/b.flv'), 'redirect: http://other/b.flv');
  assert.is(to('http://h:81/b.flv'), 'redirect: http://h:81/b.flv');
  assert.is(to('file:///etc/passwd'), 'failed: the server redirects to an address that is no source');
  assert.is(to(''), 'failed: the server redirects to an address that is no source');
});

test('a file on demand is told apart from a broadcast', () => {
  const driver = client().receive('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nAccept-Ranges: bytes\r\n\r\n');
  assert.equal(driver.kinds, ['on-demand', 'accepted']);
  assert.equal(client().receive('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n').kinds, ['accepted']);
});

test('silence is noticed: of the answer, of the media, and behind metadata alone', () => {
  assert.is(client().wait(10_000).outcome, 'failed: the server does not answer');
  assert.is(client().receive('HTTP/1.1 200 OK\r\nX: ').wait(10_000).outcome, 'failed: the server does not answer');
  const driver = client().receive(OK, HEADER).wait(6_000).receive(encodeTag(AUDIO_TAG)).wait(9_999);
  assert.is(driver.outcome, '');
  assert.is(driver.wait(1).outcome, 'failed: no media came for 10 s');
  const metadata = client().receive(OK, HEADER).wait(6_000).receive(encodeTag(SCRIPT_TAG)).wait(4_000);
  assert.is(metadata.outcome, 'failed: no media came for 10 s');
});

test('a connection that closes says when, and nothing comes after it', () => {
  assert.is(client().close().outcome, 'failed: the server closed the connection before it answered');
  assert.is(client().receive(OK).close().outcome, 'failed: the server closed the connection before any FLV came');
  const driver = client().receive(OK, HEADER, encodeTag(AUDIO_TAG)).close();
  assert.is(driver.outcome, 'failed: the server closed the connection');
  const { length } = driver.events;
  assert.is(driver.receive(encodeTag(AUDIO_TAG)).close().events.length, length);
  assert.is(driver.timers.size, 0);
});

test.run();
