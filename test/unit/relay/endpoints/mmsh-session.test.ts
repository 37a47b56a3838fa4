/** MMSH players as they are, and hostile ones; the rows are those of the protocols sheet, table 6.2. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { Rng } from '../../../../src/kernel/rng.js';
import { encodeMmshHeader, MmshChunkReader } from '../../../../src/media/mmsh-chunk.js';
import { MmsPort } from '../../../../src/relay/endpoints/mms-port.js';
import { MmshRequestReader } from '../../../../src/relay/endpoints/mmsh-request.js';
import { MmshSession } from '../../../../src/relay/endpoints/mmsh-session.js';
import { bytesOf, simpleHeader } from '../../../support/asf-writer.js';
import { PlayerDriver, type TestChannel } from '../../../support/player-driver.js';

const HEADER = simpleHeader();
const PLAY = 'Pragma: xPlayStrm=1\r\n';

function channel(name: string, header: Uint8Array | null): TestChannel {
  return { name, header: () => header };
}

const TABLE = new Map<string, TestChannel | 'busy'>([
  ['/live/x y', channel('x', HEADER)],
  ['/x', channel('x', HEADER)],
  ['/soon', channel('soon', null)],
  ['/large', channel('large', new Uint8Array(66_000))],
  ['/busy', 'busy'],
]);

function player(): PlayerDriver {
  return new PlayerDriver(new MmshSession<TestChannel>({ lookup: (path) => TABLE.get(path), rng: new Rng(7) }));
}

function ask(path: string, lines = '', method = 'GET'): PlayerDriver {
  return player().receive(`${method} ${path} HTTP/1.0\r\nUser-Agent: NSPlayer/7.10.0.3059\r\n${lines}\r\n`);
}

function statusOf(driver: PlayerDriver): string {
  return driver.text.slice('HTTP/1.0 '.length, driver.text.indexOf('\r\n'));
}

test('a describe is answered by head and header in one write, and closed', () => {
  const driver = ask('/x');
  assert.is(driver.sent.length, 1);
  assert.match(driver.text, /^HTTP\/1\.0 200 OK\r\n/);
  assert.match(driver.text, /\r\nContent-Type: application\/vnd\.ms\.wms-hdr\.asfv1\r\n/);
  assert.match(driver.text, /\r\nPragma: features="broadcast"\r\n/);
  assert.ok(driver.text.endsWith(`\r\n\r\n${Buffer.from(encodeMmshHeader(HEADER)).toString('latin1')}`));
  assert.ok(driver.isClosed);
});

test('a play is answered by the header and stays open for packets, counted per run', () => {
  const driver = ask('/x', PLAY);
  assert.match(driver.text, /\r\nContent-Type: application\/x-mms-framed\r\n/);
  assert.not.ok(driver.isClosed);
  assert.equal(driver.kinds, ['play']);
  assert.equal([...driver.timers], []);
  assert.is(driver.session.framing, 'mmsh');
  assert.equal([...(driver.session.packet(0x1ff, Uint8Array.of(5)) ?? [])], [0x24, 0x44, 9, 0, 0xff, 1, 0, 0, 0, 0xff, 9, 0, 5]);
});

test('the end of the stream is said and closes', () => {
  const driver = ask('/x', PLAY).input({ kind: 'end' });
  assert.equal([...(driver.sent.at(-1) ?? [])], [0x24, 0x45, 4, 0, 0, 0, 0, 0]);
  assert.ok(driver.isClosed);
  assert.is(driver.session.packet(1, Uint8Array.of(1)), undefined);
});

test('paths are found with a query and with percent forms', () => {
  for (const path of ['/x?a=1', '/live/x%20y', '/live/x%20y?b']) assert.is(statusOf(ask(path)), '200 OK', path);
});

test('a header that is too long to serve is a 503', () => {
  const driver = ask('/large', PLAY);
  assert.is(statusOf(driver), '503 Service Unavailable');
  assert.match(driver.text, /Retry-After: 5/);
  assert.ok(driver.isClosed);
});

test('a header that is not there yet is waited for, at most eight seconds', () => {
  const driver = ask('/soon', PLAY);
  assert.is(driver.text, '', 'no answer yet');
  assert.not.ok(driver.isClosed);
  for (let waitedMs = 0; waitedMs < 7_900; waitedMs += 100) driver.wait(100);
  assert.is(driver.text, '');
  driver.wait(100);
  assert.is(statusOf(driver), '503 Service Unavailable');
  assert.ok(driver.isClosed);
});

test('HEAD, OPTIONS, POST and other methods have their answers', () => {
  const head = ask('/x', '', 'HEAD');
  assert.ok(head.text.endsWith('\r\n\r\n') && head.isClosed);
  assert.match(ask('/x', '', 'OPTIONS').text, /200 OK\r\nPublic: GET, POST, OPTIONS/);
  assert.is(statusOf(ask('/x', 'Content-Length: 0\r\n', 'POST')), '204 No Content');
  assert.is(statusOf(ask('/x', '', 'DELETE')), '501 Not Implemented');
});

test('6.2 row 19: no blank line closes after 10 s, garbage and a TLS hello at once', () => {
  assert.is(player().receive('GET /x HTTP/1.0\r\nA: b\r\n').wait(10_000).refusal, 'no whole request in time');
  assert.match(player().receive('hello there\r\n').refusal, /no HTTP request/);
  assert.match(player().receive('GET /x HTTP/1.0\r\n', 'a: b\r\n'.repeat(70)).refusal, /more than 64 lines/);
  assert.match(player().receive('GET /', 'x'.repeat(20_000)).refusal, /longer than 16384 bytes/);
  const port = new PlayerDriver(new MmsPort<TestChannel>({ lookup: () => undefined, rng: new Rng(1) }));
  assert.is(port.receive([0x16, 3, 1, 2, 0]).refusal, 'neither MMST nor HTTP');
  assert.ok(port.isClosed);
});

test("6.2 row 20: ffmpeg's glued lines are a play like any other", () => {
  const glued = [
    'Range: bytes=0-',
    'Icy-MetaData: 1',
    'Pragma: no-cache,rate=1.000000,request-context=2',
    'Pragma: xPlayStrm=1',
    'Pragma: stream-switch-count=2',
    'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ',
    'Pragma: no-cache,rate=1.000000,stream-time=0Connection: Close',
  ];
  assert.equal(ask('/x', `${glued.join('\r\n')}\r\n`).kinds, ['play']);
});

test('6.2 row 21: absurd stream selections are capped and bad entries left out', () => {
  const read = (lines: string) => {
    const request = new MmshRequestReader().push(bytesOf(`GET /x HTTP/1.0\r\n${lines}\r\n`));
    if (request === undefined || request instanceof Malformed) throw new Error('no request');
    return request.streamSwitches;
  };
  assert.equal(read('Pragma: stream-switch-count=1000000000\r\nPragma: stream-switch-entry=ffff:1:0 ffff:zz:9 x ffff:a:2 \r\n'), [
    { stream: '1', level: 0 },
    { stream: 'a', level: 2 },
  ]);
  assert.is(read(`Pragma: stream-switch-entry=${'ffff:1:0 '.repeat(1000)}\r\n`).length, 128);
  assert.match(ask('/x', `${PLAY}Pragma: stream-switch-entry=${'ffff:1:0 '.repeat(120_000)}\r\n`).refusal, /longer than/);
});

test('6.2 row 22: paths that try to escape are in no table', () => {
  const paths = ['/../x', '/x/..', '/%2e%2e/x', '/x%00', '//x', 'http://127.0.0.1/x', '/%', `/${'x'.repeat(8000)}`];
  for (const path of paths) {
    const driver = ask(path, PLAY);
    assert.is(statusOf(driver), '404 Not Found', path.slice(0, 20));
    assert.ok(driver.isClosed);
  }
});

test('6.2 row 23: nothing of a request is echoed', () => {
  assert.not.match(ask('/x%0d%0aSet-Cookie:a', 'User-Agent: evil\r\nX: evil\r\n').text, /Set-Cookie|evil/);
  assert.not.match(ask('/x', 'User-Agent: evil\r\nPragma: client-id=evil\r\n').text, /evil/);
});

test('6.2 row 24: a huge POST is read to 64 KiB, answered and closed', () => {
  const driver = ask('/x', 'Content-Length: 999999999999\r\n', 'POST');
  assert.is(driver.sent.length, 0);
  driver.receive(new Uint8Array(60_000));
  assert.is(driver.sent.length, 0);
  driver.receive(new Uint8Array(10_000));
  assert.is(statusOf(driver), '204 No Content');
  assert.ok(driver.isClosed);
  assert.is(ask('/x', 'Content-Length: 9\r\n', 'POST').wait(10_000).isClosed, true);
});

test('6.2 row 25: a second request on a play connection changes nothing', () => {
  const driver = ask('/x', PLAY).receive('GET /nothing HTTP/1.0\r\n\r\n'.repeat(100));
  assert.is(driver.sent.length, 1);
  assert.not.ok(driver.isClosed);
  assert.is(driver.session.framing, 'mmsh');
});

test('6.2 row 26: client ids are made anew and grant nothing', () => {
  const idOf = (driver: PlayerDriver): string => /client-id=(\d+)/.exec(driver.text)?.[1] ?? '';
  const first = ask('/x');
  assert.ok(Number(idOf(first)) >= 0 && idOf(first) !== '');
  assert.equal(ask('/nothing', `Pragma: client-id=${idOf(first)}\r\n${PLAY}`).kinds, []);
});

test('6.2 row 27: an address that asks too often gets a 503', () => {
  assert.is(statusOf(ask('/busy', PLAY)), '503 Service Unavailable');
});

test("6.2 row 28: what a player does not read is the shell's to bound; the session holds nothing of it", () => {
  const driver = ask('/x', PLAY);
  const payload = new Uint8Array(500);
  const first = driver.session.packet(1, payload);
  assert.equal(driver.session.packet(1, payload), first);
  const chunks: number[] = [];
  new MmshChunkReader().push(first ?? payload, (chunk) => 'locationId' in chunk && chunks.push(chunk.locationId));
  assert.equal(chunks, [1]);
});

test('6.2 row 29: a playing session needs nothing more from its player', () => {
  const driver = ask('/x', PLAY).wait(3_600_000);
  assert.not.ok(driver.isClosed);
});

test('6.2 row 30: an odd GUID, NUL in the user agent and browsers are welcome', () => {
  for (const line of ['Pragma: xClientGUID={0xbabac001-0x1548}', 'User-Agent: a\0b', 'User-Agent: Mozilla/5.0']) {
    assert.is(statusOf(player().receive(`GET /x HTTP/1.1\r\n${line}\r\n\r\n`)), '200 OK', line);
  }
  const request = new MmshRequestReader().push(bytesOf('GET /x HTTP/1.1\r\nUser-Agent: a\0b\x80\r\n\r\n'));
  assert.ok(request !== undefined && !(request instanceof Malformed) && request.userAgent === 'a?b?');
});

test.run();
