/** The MMSH client against servers of every kind; the rows are those of the protocols sheet, table 6.2. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MmshClient } from '../../../src/ingest/mmsh-client.js';
import { parseSourceUrl } from '../../../src/ingest/source-url.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { encodeMmshChange, encodeMmshData, encodeMmshEnd, encodeMmshHeader, encodePacketChunk } from '../../../src/media/mmsh-chunk.js';
import { audioStream, bytesOf, le, simpleHeader, videoStream } from '../../support/asf-writer.js';
import { SourceDriver } from '../../support/source-driver.js';

const HEADER = simpleHeader();
const OK = 'HTTP/1.0 200 OK\r\nPragma: no-cache, features="broadcast"\r\n\r\n';
const HEADER_LETTER = 0x48;
const METADATA_LETTER = 0x4d;

function client(text = 'mmsh://media.example/live/x.asf?a=1'): SourceDriver {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return new SourceDriver(new MmshClient(url)).open();
}

/** A client whose play request has been answered by a header. */
function playing(header = HEADER): SourceDriver {
  return client().receive(OK, encodeMmshHeader(header)).open().receive(OK, encodeMmshHeader(header));
}

function data(locationId: number, ...payload: number[]): Uint8Array {
  return encodeMmshData(locationId, 0, Uint8Array.from(payload));
}

test('it describes, closes, and plays all streams on a second connection with the same user agent', () => {
  const driver = client();
  assert.equal(driver.connects, [{ host: 'media.example', port: 80, redirected: false }]);
  assert.match(driver.sentText, /^GET \/live\/x\.asf\?a=1 HTTP\/1\.0\r\nHost: media\.example:80\r\n/);
  assert.match(driver.sentText, /User-Agent: NSPlayer\/7\.10\.0\.3059\r\n/);
  assert.not.match(driver.sentText, /xPlayStrm/);
  driver.receive(OK, encodeMmshHeader(HEADER));
  assert.is(driver.connects.length, 2);
  driver.open();
  assert.match(driver.sentText, /Pragma: xPlayStrm=1\r\n/);
  assert.match(driver.sentText, /stream-switch-count=2\r\nPragma: stream-switch-entry=ffff:1:0 ffff:2:0 \r\nConnection: Close\r\n\r\n$/);
  driver.receive(OK, encodeMmshHeader(HEADER), data(1000, 1, 2), data(1001, 3));
  assert.equal(driver.kinds, ['header', 'packet', 'packet']);
  assert.equal(driver.packets, [
    { locationId: 1000, payload: [1, 2] },
    { locationId: 1001, payload: [3] },
  ]);
});

test('streams numbered ten and more are named in hex, and once more in decimal when nothing comes', () => {
  const header = simpleHeader({}, [videoStream(17), audioStream(2)]);
  const driver = playing(header);
  assert.match(driver.sentText, /ffff:11:0 ffff:2:0 /);
  driver.wait(16_000);
  assert.is(driver.connects.length, 3);
  driver.open();
  assert.match(driver.sentText, /ffff:17:0 ffff:2:0 /);
  driver.receive(OK, encodeMmshHeader(header)).wait(16_000);
  assert.is(driver.outcome, 'failed: no packet came for 15 s');
});

test('a challenge is answered once on a new connection, and refused plainly after that', () => {
  const challenge = 'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n';
  const driver = client('mmsh://me:s%40ft@media.example/x').receive(challenge).open();
  assert.match(driver.sentText, /Authorization: Basic bWU6c0BmdA==\r\n/);
  assert.is(driver.receive(challenge).outcome, 'failed for good: the server refuses the name and password of the URL');
  assert.match(client().receive(challenge).outcome, /for good: the server wants a name and a password/);
  assert.match(client('mmsh://a:b@media.example/x').receive(challenge.replace('Basic', 'NTLM')).outcome, /only Basic is/);
});

test('a file on demand is reported before its header', () => {
  const header = simpleHeader({ broadcast: false });
  const seekable = OK.replace('broadcast', 'seekable,stridable');
  assert.equal(client().receive(seekable, encodeMmshHeader(header)).kinds, ['on-demand']);
  assert.equal(client().receive(OK, encodeMmshHeader(header)).kinds, []);
});

test('6.2 row 1: an ASX or [Reference] body leads elsewhere, another page fails', () => {
  const ok = 'HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n';
  assert.is(
    client().receive(ok, '[Reference]\r\nRef1=http://media.example/a.asf?MSWMExt=.asf\r\n').close().outcome,
    'redirect: http://media.example/a.asf',
  );
  assert.is(
    client().receive(ok, '<ASX version="3"><Entry><Ref href="mms://b.example/y?z=1&amp;q=2"/></Entry></ASX>').close().outcome,
    'redirect: mms://b.example/y?z=1&q=2',
  );
  assert.match(client().receive(ok, '<html>hello</html>').close().outcome, /answered with a page/);
  assert.match(
    client().receive(ok, '<asx><ref href="file:///etc/passwd"/></asx>').close().outcome,
    /names no mms, mmst, mmsh or http address/,
  );
  assert.match(client().receive(ok, 'x'.repeat(70_000)).outcome, /answered with a page/);
});

test('6.2 row 2: endless or enormous header lines close at the limit', () => {
  assert.match(client().receive('HTTP/1.0 200 OK\r\n', 'a: b\r\n'.repeat(70)).outcome, /more than 64 lines/);
  assert.match(client().receive('HTTP/1.0 200 OK\r\nX: ', 'a'.repeat(17_000)).outcome, /too long/);
  assert.match(client().receive('SSH-2.0-x\r\n\r\n').outcome, /no HTTP/);
  assert.is(client().wait(11_000).outcome, 'failed: the server does not answer');
});

test('6.2 row 3: 1xx is skipped, 206 plays, and a redirect is followed to source schemes only', () => {
  const driver = client().receive('HTTP/1.1 100 Continue\r\n\r\n', OK.replace('200 OK', '206 Partial'), encodeMmshHeader(HEADER));
  assert.is(driver.connects.length, 2);
  assert.match(client().receive('HTTP/1.1 100 Continue\r\n\r\n'.repeat(9)).outcome, /interim/);
  const to = (where: string): string => client().receive(`HTTP/1.0 302 Found\r\nLocation: ${where}\r\n\r\n`).outcome;
  assert.is(to('mmsh://b.example:8080/y'), 'redirect: mmsh://b.example:8080/y');
  assert.is(to('/elsewhere?x'), 'redirect: mmsh://media.example/elsewhere?x');
  assert.match(to('file:///etc/passwd'), /^failed: .*"file" is not possible/);
  assert.match(to(''), /^failed: the server redirects to an address that is no source/);
});

test('6.2 row 4: a Content-Length that lies is not obeyed, and chunked bodies are', () => {
  const lying = OK.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n');
  const driver = client().receive(lying, encodeMmshHeader(HEADER)).open().receive(lying, encodeMmshHeader(HEADER), data(1, 9));
  assert.is(driver.packets.length, 1);
  const chunked = OK.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n');
  const body = bytesOf(encodeMmshHeader(HEADER), data(5, 7));
  const middle = 20;
  const wire = bytesOf(
    `${middle.toString(16)};x=y\r\n`,
    body.subarray(0, middle),
    `\r\n${(body.length - middle).toString(16)}\r\n`,
    body.subarray(middle),
    '\r\n0\r\n\r\n',
  );
  const second = client().receive(OK, encodeMmshHeader(HEADER)).open().receive(chunked, wire);
  assert.equal(second.packets, [{ locationId: 5, payload: [7] }]);
  assert.match(client().receive(chunked, 'ffffffffffffffff\r\n').outcome, /chunk size/);
  assert.match(client().receive(chunked, '2\r\nabXX').outcome, /^$|chunk/);
});

test('6.2 row 5: an encoded body fails', () => {
  assert.match(client().receive('HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n').outcome, /encodes its answer \(gzip\)/);
});

test('6.2 row 6: a chunk of an unknown letter is skipped, and bytes that are no chunk close', () => {
  const driver = playing().receive([0x24, 0x58, 3, 0, 1, 2, 3], data(4, 4));
  assert.equal(driver.packets, [{ locationId: 4, payload: [4] }]);
  assert.match(driver.oddities, /unknown type/);
  assert.match(playing().receive([0x11, 0x22, 0x33, 0x44]).outcome, /not MMSH: byte 0x11/);
});

test('6.2 row 7: lengths below the sub-header close', () => {
  for (const letter of 'HDM') assert.match(playing().receive([0x24, letter.charCodeAt(0), 7, 0]).outcome, /of 7 bytes, expected 8/);
  for (const letter of 'EC') assert.match(playing().receive([0x24, letter.charCodeAt(0), 3, 0]).outcome, /of 3 bytes, expected 4/);
});

test('6.2 row 8: a PacketSize that contradicts the length is noted once', () => {
  const odd = data(1, 5, 6);
  odd[10] = 99;
  const driver = playing().receive(odd, odd);
  assert.is(driver.packets.length, 2);
  assert.is(driver.oddities, 'chunks whose PacketSize contradicts their length');
});

test('6.2 row 9: packets before the header are dropped', () => {
  const driver = client().receive(OK, encodeMmshHeader(HEADER)).open().receive(OK, data(1, 1), encodeMmshHeader(HEADER), data(2, 2));
  assert.equal(driver.packets, [{ locationId: 2, payload: [2] }]);
});

test('6.2 row 10: a header comes in parts, but not from the second on and not for ever', () => {
  const parts = (from: number): Uint8Array[] => {
    const cuts = [0, 100, 300, HEADER.length];
    return [0, 1, 2]
      .slice(from)
      .map((index) => encodePacketChunk(HEADER_LETTER, index, [4, 0, 8][index] ?? 0, HEADER.subarray(cuts[index], cuts[index + 1])));
  };
  assert.is(client().receive(OK, ...parts(0)).connects.length, 2);
  assert.match(client().receive(OK, ...parts(1)).outcome, /begins with its second part/);
  const endless = Array.from({ length: 5 }, (_, index) =>
    encodePacketChunk(HEADER_LETTER, index, index === 0 ? 4 : 0, new Uint8Array(60_000)),
  );
  assert.match(client().receive(OK, ...endless).outcome, /longer than/);
});

test('6.2 row 11: a number that comes twice with other bytes is handed over for the cutter to judge', () => {
  assert.equal(playing().receive(data(1, 1), data(1, 2)).packets, [
    { locationId: 1, payload: [1] },
    { locationId: 1, payload: [2] },
  ]);
});

test('6.2 row 12: numbers that jump to the end and back are handed over for the cutter to judge', () => {
  assert.equal(
    playing()
      .receive(data(1, 1), data(0xffffffff, 2), data(2, 3))
      .packets.map(({ locationId }) => locationId),
    [1, 0xffffffff, 2],
  );
});

test('6.2 row 13: $E may be long and come often; reason 0 ends, an error fails', () => {
  const more = bytesOf([0x24, 0x45, 8, 0], le(1, 4), le(0, 4));
  const driver = playing().receive(...Array.from({ length: 512 }, () => more), data(1, 1));
  assert.is(driver.packets.length, 1);
  assert.is(driver.receive(encodeMmshEnd(0)).outcome, 'end: the server ended the stream');
  assert.not.ok(driver.isOpen);
  assert.match(playing().receive(encodeMmshEnd(0xc00d0001)).outcome, /error 0xc00d0001/);
});

test('6.2 row 14: after $C data is dropped until the new header, which must come in 10 s', () => {
  const other = simpleHeader({ fileId: '00000000-0000-0000-0000-000000000001' });
  const driver = playing().receive(data(1, 1), encodeMmshChange(0), data(2, 2), encodeMmshHeader(other), data(3, 3));
  assert.equal(driver.kinds, ['header', 'packet', 'stream-change', 'oddity', 'header', 'packet']);
  assert.match(playing().receive(encodeMmshChange(0), data(2, 2)).wait(10_000).outcome, /announced a new header and did not send it/);
});

test('6.2 row 15: packet pairs are skipped by their real sizes, and absurd ones close', () => {
  const pair = (reason: number, sizeBytes: number): Uint8Array => bytesOf([0x24, 0x50, 9, 9], le(reason, 4), new Uint8Array(sizeBytes));
  assert.is(playing().receive(pair(10, 494), pair(0, 504), pair(10, 1058), data(8, 8)).packets.length, 1);
  assert.match(playing().receive([0x24, 0x50, 0, 0], le(505, 4)).outcome, /packet pair with reason 505/);
});

test('6.2 row 16: another header without $C is a change; the same header again is none', () => {
  const other = simpleHeader({ packetBytes: 1024 });
  const driver = playing().receive(encodeMmshHeader(HEADER), data(1, 1), encodeMmshHeader(other), data(2, 2));
  assert.equal(driver.kinds, ['header', 'packet', 'stream-change', 'header', 'packet']);
});

test('6.2 row 17: a server that trickles is left after 15 s without a whole chunk', () => {
  const driver = playing().receive(data(1, 1));
  for (let second = 0; second < 14; second++) driver.wait(1000).receive([[0x24, 0x44, 200, 0, ...new Array(60).fill(0)][second] ?? 0]);
  assert.is(driver.outcome, '');
  assert.is(driver.wait(1500).outcome, 'failed: no packet came for 15 s');
  assert.equal([...driver.timers], []);
});

test('6.2 row 18: what is declared is handed to the shell, which limits reading; longer packets are dropped', () => {
  const driver = playing().receive(encodeMmshData(1, 0, new Uint8Array(513)), encodeMmshData(2, 0, new Uint8Array(512)));
  assert.equal(
    driver.packets.map(({ locationId }) => locationId),
    [2],
  );
  const header = driver.events.find((event) => event.kind === 'header');
  assert.is(header?.media.maxBitrate, 400_000);
});

test('metadata and the B bit are accepted', () => {
  const withBit = data(3, 3);
  withBit[0] = 0xa4;
  const driver = client()
    .receive(OK, encodePacketChunk(METADATA_LETTER, 0, 0, bytesOf('playlist-gen-id=1')), encodeMmshHeader(HEADER))
    .open();
  assert.is(driver.receive(OK, encodeMmshHeader(HEADER), withBit).packets.length, 1);
});

test('a header that cannot be used fails, and so does a server that closes too early', () => {
  assert.match(client().receive(OK, encodeMmshHeader(new Uint8Array(64))).outcome, /header cannot be used/);
  assert.match(client().receive(OK, encodeMmshHeader(simpleHeader({}, []))).outcome, /describes no stream/);
  assert.match(client().close().outcome, /before the stream's header came/);
  assert.is(playing().close().outcome, 'failed: the server closed the connection');
  assert.is(client().receive('HTTP/1.0 404 Not Found\r\n\r\n').outcome, 'failed: the server answered with status 404');
});

test.run();
