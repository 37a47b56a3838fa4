/** The MMST client against servers of every kind; the rows are those of the protocols sheet, table 6.3. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MmstClient } from '../../../src/ingest/mmst-client.js';
import { parseSourceUrl } from '../../../src/ingest/source-url.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { MmstFieldWriter, textAt, u32At } from '../../../src/media/mmst-fields.js';
import { encodeMmstCommand, encodeMmstData, FROM_SERVER, type MmstCommand, MmstReader } from '../../../src/media/mmst-message.js';
import { simpleHeader } from '../../support/asf-writer.js';
import { SourceDriver } from '../../support/source-driver.js';

const HEADER = simpleHeader();
const PACKET_BYTES = 512;

function client(text = 'mmst://media.example/live/x%20y.asf'): SourceDriver {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return new SourceDriver(new MmstClient(url)).open();
}

function said(driver: SourceDriver): MmstCommand[] {
  const commands: MmstCommand[] = [];
  const reader = new MmstReader({ acceptsData: false });
  for (const bytes of driver.sent) reader.push(bytes, (message) => message.kind === 'command' && commands.push(message));
  return commands;
}

function answer(id: number, fields = new MmstFieldWriter().u32(0)): Uint8Array {
  return encodeMmstCommand(id, FROM_SERVER, fields.finish());
}

function openedFile(attributes = 0x02000000): Uint8Array {
  return answer(
    0x06,
    new MmstFieldWriter().u32(0, 1, 7, 0, 0, attributes).zeros(28).u32(PACKET_BYTES, 0, 0, 400_000, HEADER.length).zeros(36),
  );
}

function headerParts(incarnation = 2, header = HEADER): Uint8Array[] {
  const half = Math.ceil(header.length / 2);
  return [encodeMmstData(0, incarnation, 4, header.subarray(0, half)), encodeMmstData(1, incarnation, 12, header.subarray(half))];
}

const CONNECTED = [answer(0x01), answer(0x15), answer(0x02)];
const STARTED = [answer(0x21), answer(0x05, new MmstFieldWriter().u32(0, 4))];

/** All the way to media; the flood limit is a second's, so time passes. */
function playing(): SourceDriver {
  const driver = client().receive(...CONNECTED, openedFile(), answer(0x11), ...headerParts(), ...STARTED);
  return driver.wait(1000);
}

test('the whole dialogue goes in order, with all streams and the numbers of the server', () => {
  const driver = playing().receive(encodeMmstData(100, 4, 0, Uint8Array.of(1)), encodeMmstData(101, 4, 1, Uint8Array.of(2)));
  assert.equal(
    said(driver).map(({ id }) => id),
    [0x01, 0x18, 0x02, 0x05, 0x15, 0x33, 0x07],
  );
  assert.equal(driver.connects, [{ host: 'media.example', port: 1755, redirected: false }]);
  assert.equal(driver.kinds, ['header', 'packet', 'packet']);
  assert.equal(
    driver.packets.map(({ locationId }) => locationId),
    [100, 101],
  );
  const [connect, , funnel, openFile, readBlock, streams, start] = said(driver).map(({ fields }) => fields);
  assert.match(textAt(connect ?? HEADER, 12), /^NSPlayer\/7\.0\.0\.1956; \{[0-9A-F-]{36}\}; Host: media\.example$/);
  assert.is(textAt(funnel ?? HEADER, 20), '\\\\127.0.0.1\\TCP\\4000');
  assert.is(textAt(openFile ?? HEADER, 16), 'live/x%20y.asf');
  assert.equal([u32At(readBlock ?? HEADER, 0), u32At(readBlock ?? HEADER, 12), u32At(readBlock ?? HEADER, 40)], [7, 0x8000, 2]);
  assert.equal([...(streams ?? HEADER).subarray(0, 16)], [2, 0, 0, 0, 0xff, 0xff, 1, 0, 0, 0, 0xff, 0xff, 2, 0, 0, 0]);
  assert.equal([u32At(start ?? HEADER, 0), u32At(start ?? HEADER, 16), u32At(start ?? HEADER, 28)], [7, 0xffffffff, 4]);
});

test('a ping is answered at any time', () => {
  const driver = client().receive(answer(0x1b), answer(0x01));
  assert.equal(
    said(driver).map(({ id }) => id),
    [0x01, 0x1b, 0x18],
  );
});

test('a file on demand is reported before its header', () => {
  const header = simpleHeader({ broadcast: false });
  const driver = client().receive(...CONNECTED, openedFile(0x01800000), answer(0x11), ...headerParts(2, header));
  assert.equal(driver.kinds, ['on-demand', 'header']);
});

test('the end of the stream ends it, and another item waits for the change', () => {
  assert.is(playing().receive(answer(0x1e)).outcome, 'end: the server ended the stream');
  assert.is(playing().receive(answer(0x1e, new MmstFieldWriter().u32(1, 4))).outcome, '');
});

test('a server that falls silent is left after 10 s in the dialogue and 15 s in the media', () => {
  assert.is(client().wait(10_000).outcome, 'failed: the server does not answer');
  assert.is(playing().wait(15_000).outcome, 'failed: no packet came for 15 s');
  assert.match(client().close().outcome, /before the stream began/);
});

test('6.3 row 22: an error in any answer is reported and closes', () => {
  const failed = new MmstFieldWriter().u32(0x80070002);
  const steps = [[answer(0x01, failed)], [answer(0x01), answer(0x15, failed)], [...CONNECTED, answer(0x06, failed)]];
  for (const step of steps) assert.match(client().receive(...step).outcome, /^failed: the server has nothing at this path \(0x80070002\)/);
  assert.match(client().receive(answer(0x01), answer(0x15), answer(0x03)).outcome, /refuses to send over TCP/);
  assert.match(playing().receive(answer(0x1e, new MmstFieldWriter().u32(0xc00d0001))).outcome, /0xc00d0001/);
});

test('6.3 row 23: character counts beyond the message do not matter', () => {
  const driver = client().receive(answer(0x01, new MmstFieldWriter().u32(0, 0, 0, 0).zeros(24).u32(0xffffffff, 9, 9, 9)));
  assert.equal(
    said(driver).map(({ id }) => id),
    [0x01, 0x18],
  );
});

test('6.3 row 24: a data packet shorter than its head or longer than the packet size closes', () => {
  const short = encodeMmstData(1, 4, 0, Uint8Array.of());
  short[6] = 7;
  assert.match(playing().receive(short).outcome, /of 7 bytes, expected 8 to 520/);
  assert.match(playing().receive(encodeMmstData(1, 4, 0, new Uint8Array(513))).outcome, /of 521 bytes/);
  assert.is(playing().receive(encodeMmstData(1, 4, 0, new Uint8Array(512))).packets.length, 1);
});

test('6.3 row 25: a header without an end closes, by time or by size', () => {
  const begun = client().receive(...CONNECTED, openedFile(), answer(0x11));
  assert.match(begun.receive(encodeMmstData(0, 2, 4, HEADER.subarray(0, 100))).wait(10_000).outcome, /does not answer/);
  const endless = Array.from({ length: 6 }, (_, index) => encodeMmstData(index, 2, 4, new Uint8Array(60_000)));
  assert.match(client().receive(...CONNECTED, openedFile(), answer(0x11), ...endless).outcome, /longer than/);
});

test('6.3 row 26: media of another incarnation is skipped', () => {
  const driver = playing().receive(
    encodeMmstData(1, 5, 0, Uint8Array.of(1)),
    encodeMmstData(0xf0f0f000, 0xff, 0, new Uint8Array(500)),
    encodeMmstData(2, 4, 0, Uint8Array.of(2)),
  );
  assert.equal(
    driver.packets.map(({ locationId }) => locationId),
    [2],
  );
});

test('6.3 row 27: floods of 0x15 or of pings close, sixteen in a second do not', () => {
  for (const id of [0x15, 0x1b]) {
    assert.is(playing().receive(...Array.from({ length: 16 }, () => answer(id))).outcome, '');
    assert.match(playing().receive(...Array.from({ length: 1000 }, () => answer(id))).outcome, /more than 16 commands in a second/);
  }
});

test('6.3 row 28: after a change the new header must parse; then media goes on', () => {
  const change = answer(0x20, new MmstFieldWriter().u32(0, 0xff, 0xffffffff, 0xffffffff, 0, 0));
  assert.match(playing().receive(change, encodeMmstData(0, 0xff, 12, new Uint8Array(60))).outcome, /header cannot be used/);
  assert.match(playing().receive(change).wait(10_000).outcome, /announced a new header/);
  const other = simpleHeader({ fileId: '00000000-0000-0000-0000-000000000001' });
  const driver = playing().receive(
    change,
    ...headerParts(0xff, other),
    answer(0x21),
    answer(0x05),
    encodeMmstData(1, 5, 0, Uint8Array.of(9)),
  );
  assert.equal(driver.kinds, ['header', 'stream-change', 'header', 'packet']);
  const bySpecification = playing().receive(change, ...headerParts(0xff, other), encodeMmstData(1, 0xff, 0, Uint8Array.of(9)));
  assert.is(bySpecification.packets.length, 1);
});

test('6.3 row 29: a redirect is handed over as it is, without NUL and whatever its scheme', () => {
  const redirect = (url: string): Uint8Array =>
    answer(
      0x22,
      new MmstFieldWriter()
        .u32(0)
        .u16(1, url.length * 2)
        .text(url),
    );
  assert.is(client().receive(redirect('mms://b.example/y')).outcome, 'redirect: mms://b.example/y');
  assert.is(client().receive(redirect('file:///etc/passwd')).outcome, 'redirect: file:///etc/passwd');
  const unended = new MmstFieldWriter().u32(0).u16(1, 8).u16(0x61, 0x62, 0x63, 0x64);
  assert.is(client().receive(answer(0x22, unended)).outcome, 'redirect: abcd');
});

test('6.3 row 30: a challenge is answered twice and then refused, and at once without credentials', () => {
  const challenge = answer(0x1a, new MmstFieldWriter().u32(1, 0x1234, 4).text('realm'));
  const driver = client('mmst://me:soft@media.example/x').receive(...CONNECTED, challenge, challenge);
  assert.equal(said(driver).filter(({ id }) => id === 0x1a).length, 2);
  assert.is(driver.receive(challenge).outcome, 'failed for good: the server refuses the name and password of the URL');
  assert.match(client().receive(...CONNECTED, challenge).outcome, /for good: the server wants a name and a password/);
});

test('a server that speaks something else fails', () => {
  assert.match(client().receive('HTTP/1.0 400 Bad\r\n\r\n').close().outcome, /^failed: /);
  assert.match(client().receive([1, 0, 0, 0, 0xce, 0xfa, 0x0b, 0xb0, 7, 0, 0, 0, 0, 0, 0, 0]).outcome, /^failed: not MMST: /);
});

test.run();
