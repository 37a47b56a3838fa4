/** MMST players as they are, and hostile ones; the rows are those of the protocols sheet, table 6.3. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../../../src/kernel/rng.js';
import { MmstFieldWriter, textAt, u32At } from '../../../../src/media/mmst-fields.js';
import { encodeMmstCommand, FROM_CLIENT, FROM_SERVER, type MmstMessage, MmstReader } from '../../../../src/media/mmst-message.js';
import { MmsPort, protocolOf } from '../../../../src/relay/endpoints/mms-port.js';
import { MmstSession } from '../../../../src/relay/endpoints/mmst-session.js';
import { bytesOf, simpleHeader } from '../../../support/asf-writer.js';
import { PlayerDriver, type TestChannel } from '../../../support/player-driver.js';

const HEADER = simpleHeader();
const PACKET_BYTES = 512;

function player(): PlayerDriver {
  const channel: TestChannel = { name: 'x', header: () => HEADER };
  const soon: TestChannel = { name: 'soon', header: () => null };
  const table = new Map([
    ['/live/x y.wmv', channel],
    ['/x', channel],
    ['/soon', soon],
  ]);
  return new PlayerDriver(new MmstSession<TestChannel>({ lookup: (path) => table.get(path), rng: new Rng(7) }));
}

function say(id: number, fields = new MmstFieldWriter()): Uint8Array {
  return encodeMmstCommand(id, FROM_CLIENT, fields.finish());
}

/** Everything that was answered, each write being whole messages. */
function answers(driver: PlayerDriver): MmstMessage[] {
  const messages: MmstMessage[] = [];
  const reader = new MmstReader({ acceptsData: true });
  for (const bytes of driver.sent)
    assert.is(
      reader.push(bytes, (message) => messages.push(message)),
      undefined,
    );
  assert.is(messages.length, driver.sent.length, 'one write for each message');
  return messages;
}

function ids(driver: PlayerDriver): (number | string)[] {
  return answers(driver).map((message) => (message.kind === 'command' ? message.id : 'data'));
}

function lastFields(driver: PlayerDriver): Uint8Array {
  const message = answers(driver).findLast(({ kind }) => kind === 'command');
  return message?.kind === 'command' ? message.fields : new Uint8Array(0);
}

const CONNECT = say(0x01, new MmstFieldWriter().u32(0xf0f0f0ef, 0x0004000b, 0x0003001c).text('NSPlayer/7.0.0.1956; {0xb}; Host: a'));
const FUNNEL = say(0x02, new MmstFieldWriter().u32(0, 0xffffffff, 0, 10_000_000, 2).text('\\\\192.168.0.129\\TCP\\1037'));
const READ_BLOCK = say(0x15, new MmstFieldWriter().u32(1, 0, 0, 0x8000, 0xffffffff, 0).f64(0).f64(3600).u32(2, 0));
const SWITCH = say(0x33, new MmstFieldWriter().u32(2).u16(0xffff, 1, 0, 0xffff, 2, 0));

function openFile(path = 'x', playIncarnation = 1): Uint8Array {
  return say(0x05, new MmstFieldWriter().u32(playIncarnation, 0xffffffff, 0, 0).text(path));
}

function startPlaying(incarnation = 4, position = 0): Uint8Array {
  return say(0x07, new MmstFieldWriter().u32(1, 0x1ffff).f64(position).u32(0xffffffff, 0xffffffff, 0xffffff, incarnation));
}

function opened(): PlayerDriver {
  return player()
    .receive(CONNECT)
    .receive(say(0x18, new MmstFieldWriter().u32(0xf0f0f000)))
    .receive(FUNNEL)
    .receive(openFile());
}

function playing(): PlayerDriver {
  return opened().receive(READ_BLOCK).receive(SWITCH).receive(startPlaying());
}

test('the dialogue of every player is answered in order, and media is framed as it asked', () => {
  const driver = playing();
  const partCount = Math.ceil(HEADER.length / PACKET_BYTES);
  assert.equal(ids(driver), [0x01, 0x15, 0x02, 0x06, 0x11, ...new Array(partCount).fill('data'), 0x21, 0x05]);
  assert.equal(driver.kinds, ['play']);
  assert.is(driver.session.framing, 'mmst:4');
  assert.equal([...(driver.session.packet(0x102, Uint8Array.of(9)) ?? [])], [2, 1, 0, 0, 4, 2, 9, 0, 9]);
  const parts = answers(driver).filter((message) => message.kind === 'data');
  assert.equal(bytesOf(...parts.map(({ payload }) => payload)), HEADER);
  assert.equal([parts.at(-1)?.incarnation, parts.at(-1)?.afFlags], [2, 0x0c]);
});

test('OpenFile is answered with its own incarnation, file 1, a broadcast, and the sizes of the header', () => {
  const driver = player().receive(CONNECT).receive(openFile('live/x%20y.wmv', 2));
  const fields = lastFields(driver);
  assert.equal(
    [0, 4, 8, 20, 52, 68].map((offset) => u32At(fields, offset)),
    [0, 2, 1, 0x02000000, PACKET_BYTES, HEADER.length],
  );
  assert.equal([fields[22], (fields[23] ?? 0) & 15], [0, 2], 'what libmms calls live');
  assert.ok((player().receive(CONNECT).sent[0]?.length ?? 0) >= 96, 'what VLC wants');
});

test('a player that stops may start again with another incarnation', () => {
  const driver = playing().wait(2000).receive(say(0x09)).receive(startPlaying(5));
  assert.equal(driver.kinds, ['play', 'pause', 'play']);
  assert.is(driver.session.framing, 'mmst:5');
  assert.is(driver.receive(say(0x0d)).isClosed, true);
});

test('the end of the stream is said and closes', () => {
  const driver = playing().input({ kind: 'end' });
  assert.is(ids(driver).at(-1), 0x1e);
  assert.ok(driver.isClosed);
});

test('6.3 row 1: no signature closes', () => {
  assert.match(player().receive([1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).refusal, /no MMST signature/);
});

test('6.3 row 2: absurd lengths close', () => {
  for (const length of [0, 15, 17, 65_544, 0xffffffff]) {
    const bytes = CONNECT.slice();
    new DataView(bytes.buffer).setUint32(8, length, true);
    assert.match(player().receive(bytes).refusal, /expected a multiple of 8/, String(length));
  }
});

test('6.3 row 3: an inner length that differs does not matter', () => {
  for (const length of [0, 1, 5, 0xffffffff]) {
    const bytes = CONNECT.slice();
    new DataView(bytes.buffer).setUint32(32, length, true);
    assert.equal(ids(player().receive(bytes)), [0x01], String(length));
  }
});

test('6.3 row 4: "MMS " missing closes', () => {
  const bytes = CONNECT.slice();
  bytes[12] = 0;
  assert.match(player().receive(bytes).refusal, /without "MMS "/);
});

test('6.3 row 5: two messages under one prefix are both answered', () => {
  const body = bytesOf(CONNECT.subarray(32), FUNNEL.subarray(32));
  const bytes = bytesOf(CONNECT.subarray(0, 32), body);
  new DataView(bytes.buffer).setUint32(8, body.length + 16, true);
  assert.equal(ids(player().receive(bytes)), [0x01, 0x02]);
});

test('6.3 row 6: commands out of order get an error and a close', () => {
  for (const [first, id] of [
    [startPlaying(), 0x05],
    [READ_BLOCK, 0x11],
    [openFile(), 0x06],
  ] as const) {
    const driver = player().receive(first);
    assert.equal(ids(driver), [id]);
    assert.is(u32At(lastFields(driver), 0), 0x80070057);
    assert.ok(driver.isClosed);
  }
});

test('6.3 row 7: eight unknown commands are ignored, the ninth closes', () => {
  const driver = player().receive(CONNECT);
  for (let count = 0; count < 8; count++) driver.receive(say(0x77));
  assert.not.ok(driver.isClosed);
  assert.match(driver.receive(say(0x77)).refusal, /more than 8 unknown/);
});

test("6.3 row 8: a server's command from a player closes", () => {
  assert.match(player().receive(encodeMmstCommand(1, FROM_SERVER, new Uint8Array(8))).refusal, /command of a server/);
});

test('6.3 row 9: texts without NUL, with odd bytes and with half surrogates are read as far as they go', () => {
  assert.equal(ids(player().receive(say(0x01, new MmstFieldWriter().u32(1, 2, 3).bytes(new Uint8Array(4001).fill(0x41))))), [0x01]);
  assert.is(textAt(Uint8Array.of(0x61, 0, 0, 0xd8, 0x62), 0), 'a\ufffd');
  assert.is(textAt(new Uint8Array(4000).fill(0x41), 0).length, 512);
});

test('6.3 row 10: a token beyond the message is ignored', () => {
  const request = say(0x05, new MmstFieldWriter().u32(1, 0, 0xffffffff, 0xffffffff).text('x'));
  assert.is(u32At(lastFields(player().receive(CONNECT).receive(request)), 0), 0);
});

test('a path whose header is not there yet is waited for, at most eight seconds', () => {
  const driver = player().receive(CONNECT).receive(openFile('soon'));
  const before = ids(driver).length;
  for (let waitedMs = 0; waitedMs < 7_900; waitedMs += 100) driver.wait(100);
  assert.is(ids(driver).length, before, 'no answer yet');
  driver.wait(100);
  assert.is(u32At(lastFields(driver), 0), 0x80070015);
  assert.ok(driver.isClosed);
});

test('6.3 row 11: paths that try to escape are in no table', () => {
  for (const path of ['..\\x', '../x', 'x\\', '%2e%2e/x', 'X', '']) {
    const driver = player().receive(CONNECT).receive(openFile(path));
    assert.is(u32At(lastFields(driver), 0), 0x80070002, path);
    assert.ok(driver.isClosed);
  }
  // What follows a NUL is no part of the path.
  assert.is(u32At(lastFields(player().receive(CONNECT).receive(openFile('x\0/../y'))), 0), 0);
});

test('6.3 row 12: UDP, port 0 and other texts are refused; the named address is never used', () => {
  for (const text of ['\\\\1.2.3.4\\UDP\\1037', '\\\\1.2.3.4\\TCP\\0', '\\\\1.2.3.4\\TCP\\99999', '', 'x']) {
    const driver = player()
      .receive(CONNECT)
      .receive(say(0x02, new MmstFieldWriter().u32(0, 0, 0, 0, 2).text(text)));
    assert.is(ids(driver).at(-1), 0x03, text);
    assert.ok(driver.isClosed);
  }
});

test('6.3 row 13: a stream switch of 2^32 streams is answered like any other', () => {
  assert.is(ids(opened().receive(say(0x33, new MmstFieldWriter().u32(0xffffffff).u16(1, 2)))).at(-1), 0x21);
});

test('6.3 row 14: the header is given four times, and then no more', () => {
  const driver = opened();
  for (let count = 0; count < 4; count++) driver.receive(READ_BLOCK);
  assert.not.ok(driver.isClosed);
  assert.match(driver.receive(READ_BLOCK).refusal, /more than 4 requests for the header/);
});

test('6.3 row 15: any position means the live edge', () => {
  for (const position of [Number.NaN, Number.POSITIVE_INFINITY, -1, 1e300]) {
    assert.equal(opened().receive(startPlaying(4, position)).kinds, ['play']);
  }
});

test('6.3 row 16: incarnations that the wire cannot carry are replaced', () => {
  for (const incarnation of [0, 0xff, 0xce, 0xffffffff]) assert.is(opened().receive(startPlaying(incarnation)).session.framing, 'mmst:4');
  const readBlock = say(0x15, new MmstFieldWriter().u32(1, 0, 0, 0, 0, 0).f64(0).f64(0).u32(0xff, 0));
  const part = answers(opened().receive(readBlock)).at(-1);
  assert.ok(part?.kind === 'data' && part.incarnation === 2);
});

test('6.3 row 17: playing starts over once a second at most', () => {
  const driver = playing().receive(startPlaying(5)).receive(startPlaying(6));
  assert.equal(driver.kinds, ['play']);
  assert.equal(driver.wait(1000).receive(startPlaying(7)).kinds, ['play', 'play']);
});

test('6.3 row 18: logging is dropped, and a flood of it does not keep a player waiting for ever', () => {
  const driver = player().receive(CONNECT);
  for (let count = 0; count < 5; count++) driver.wait(1900).receive(say(0x32, new MmstFieldWriter().zeros(1490)));
  assert.equal(ids(driver), [0x01]);
  assert.match(driver.wait(600).refusal, /no next command in time/);
});

test('6.3 row 19: three pings without an answer close, media makes them needless', () => {
  const driver = playing().wait(20_000);
  driver.session.mediaSent(driver.nowMs);
  driver.wait(24_000);
  assert.not.equal(ids(driver).at(-1), 0x1b);
  driver.wait(2_000);
  assert.is(ids(driver).at(-1), 0x1b);
  driver.receive(say(0x1b)).wait(60_000);
  assert.not.ok(driver.isClosed);
  assert.match(driver.wait(60_000).refusal, /answered none of 3 pings/);
});

test('6.3 row 20: silence after connecting closes, and so does a byte every nine seconds', () => {
  const port = new PlayerDriver(new MmsPort<TestChannel>({ lookup: () => undefined, rng: new Rng(1) }));
  assert.is(port.wait(10_000).refusal, 'silent after connecting');
  const slow = player().receive(CONNECT);
  for (const byte of FUNNEL.subarray(0, 2)) slow.wait(4900).receive([byte]);
  assert.match(slow.wait(400).refusal, /no next command in time/);
});

test('6.3 row 21: nothing comes of a session that is closed', () => {
  const driver = playing().receive(say(0x0d));
  const count = driver.sent.length;
  driver.receive(CONNECT).wait(100_000).input({ kind: 'end' });
  assert.is(driver.sent.length, count);
  assert.is(driver.session.packet(1, Uint8Array.of(1)), undefined);
});

test('6.3 row 31: the first byte decides between the protocols', () => {
  assert.is(protocolOf(0x01), 'mmst');
  for (const letter of 'GPOHgz') assert.is(protocolOf(letter.charCodeAt(0)), 'mmsh');
  for (const byte of [0, 2, 0x16, 0x20, 0x40, 0x5b, 0x60, 0x7b, 0xc7, 0xff]) assert.is(protocolOf(byte), undefined);
  const port = (): PlayerDriver => new PlayerDriver(new MmsPort<TestChannel>({ lookup: () => undefined, rng: new Rng(1) }));
  assert.match(port().receive('GET /x HTTP/1.0\r\n\r\n').text, /^HTTP\/1\.0 404/);
  assert.equal(ids(port().receive(CONNECT)), [0x01]);
});

test('a flood of commands closes', () => {
  const driver = player();
  for (let count = 0; count < 70; count++) driver.receive(CONNECT);
  assert.match(driver.refusal, /more than 64 commands/);
  assert.ok(driver.sent.length <= 64);
});

test.run();
