/** The RTMP client against a server written by hand: the dialogue, what media becomes, what statuses mean, and what it puts up with. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RtmpClient } from '../../../src/ingest/rtmp-client.js';
import { parseSourceUrl } from '../../../src/ingest/source-url.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { type AmfValue, decodeAmf0 } from '../../../src/media/amf0.js';
import { AUDIO, encodeTag, type FlvTag, SCRIPT, VIDEO } from '../../../src/media/flv.js';
import { RtmpChunkReader, type RtmpMessage } from '../../../src/media/rtmp-chunk-reader.js';
import { bytesOf } from '../../support/asf-writer.js';
import { encodeAmf0, encodeMessage } from '../../support/rtmp-client.js';
import { SourceDriver } from '../../support/source-driver.js';

const HANDSHAKE_BYTES = 1536;
const S1 = Uint8Array.from({ length: HANDSHAKE_BYTES }, (_, index) => index % 251);
const SHAKE = bytesOf([3], S1, new Uint8Array(HANDSHAKE_BYTES));
const COMMAND = 20;
const MEDIA: FlvTag = { type: VIDEO, timestampMs: 0xfffffff0, body: Uint8Array.of(0x17, 1, 0, 0, 0, 9) };

function client(text = 'rtmp://origin.example/live/name?token=secret', redirected = false): SourceDriver {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return new SourceDriver(new RtmpClient(url, { redirected })).open();
}

function command(...values: readonly AmfValue[]): Uint8Array {
  return encodeMessage({ type: COMMAND, body: encodeAmf0(values) });
}

function info(code: string, more: readonly (readonly [string, AmfValue])[] = [], level = 'status'): AmfValue {
  return new Map<string, AmfValue>([['level', level], ['code', code], ...more]);
}

function status(code: string, level = 'status'): Uint8Array {
  return command('onStatus', 0, null, info(code, [['description', 'of name?token=secret']], level));
}

function userControl(event: number, ...rest: readonly number[]): Uint8Array {
  return encodeMessage({ type: 4, chunkStream: 2, streamId: 0, body: Uint8Array.of(0, event, ...rest) });
}

function control(type: number, value: number, ...rest: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return encodeMessage({ type, chunkStream: 2, streamId: 0, body: bytesOf(bytes, rest) });
}

const CONNECTED = command('_result', 1, new Map([['fmsVer', 'x']]), info('NetConnection.Connect.Success'));
const CREATED = command('_result', 2, null, 5);

function connecting(): SourceDriver {
  return client().receive(SHAKE);
}

function playing(): SourceDriver {
  return connecting().receive(CONNECTED).receive(CREATED);
}

function media(tag: FlvTag = MEDIA): Uint8Array {
  return encodeMessage({ type: tag.type, timestampMs: tag.timestampMs, body: tag.body, chunkStream: 6 });
}

/** Messages that the client has sent behind its handshake. */
function messagesOf(driver: SourceDriver): RtmpMessage[] {
  const messages: RtmpMessage[] = [];
  const reader = new RtmpChunkReader({ messageBytesMax: 1 << 20, memoryBytesMax: 1 << 20 });
  reader.push(bytesOf(...driver.sent).subarray(1 + 2 * HANDSHAKE_BYTES), (message) => {
    messages.push(message);
    return undefined;
  });
  return messages;
}

function commandsOf(driver: SourceDriver): (readonly AmfValue[])[] {
  const commands = messagesOf(driver).filter(({ type }) => type === COMMAND);
  return commands.map(({ body }) => decodeAmf0(body) as readonly AmfValue[]);
}

test('it shakes hands plainly, and echoes what the server sent, however the bytes are cut', () => {
  for (const cut of [1, 2, 1000, 1537, 1538, 3072]) {
    const driver = client().receive(SHAKE.subarray(0, cut)).receive(SHAKE.subarray(cut));
    assert.equal(driver.connects, [{ host: 'origin.example', port: 1935, redirected: false }]);
    assert.is(driver.isSecure, false);
    assert.equal(driver.sent[0], bytesOf([3], new Uint8Array(HANDSHAKE_BYTES)));
    assert.equal(driver.sent[1], S1);
    assert.is(commandsOf(driver)[0]?.[0], 'connect');
  }
});

test('rtmps is asked for at 443 and over TLS', () => {
  const driver = client('rtmps://origin.example/live/name', true);
  assert.equal(driver.connects, [{ host: 'origin.example', port: 443, redirected: true }]);
  assert.is(driver.isSecure, true);
});

test('it connects to the application as one that forwards every codec', () => {
  const [connect] = commandsOf(connecting());
  const options = connect?.[2];
  assert.ok(options instanceof Map);
  assert.is(options.get('app'), 'live');
  assert.is(options.get('tcUrl'), 'rtmp://origin.example:1935/live');
  assert.is(options.get('capsEx'), 15);
  assert.ok((options.get('fourCcList') as readonly AmfValue[]).includes('hvc1'));
  assert.equal(options.get('videoFourCcInfoMap'), new Map([['*', 4]]));
});

test('it creates a stream and plays it live, on the stream that the server gave', () => {
  const driver = playing();
  assert.equal(
    commandsOf(driver).map(([name]) => name),
    ['connect', 'createStream', 'play'],
  );
  assert.equal(commandsOf(driver)[2], ['play', 0, null, 'name?token=secret', -1000]);
  assert.is(messagesOf(driver).find(({ streamId }) => streamId !== 0)?.streamId, 5);
  assert.equal(messagesOf(driver).at(-1)?.body, Uint8Array.of(0, 3, 0, 0, 0, 5, 0, 0, 3, 0xe8));
  assert.equal(driver.kinds, ['accepted']);
  assert.equal([...driver.timers.keys()], ['progress']);
});

test('tags come out in order of arrival, with raw times and their own bytes', () => {
  const audio: FlvTag = { type: AUDIO, timestampMs: 5, body: Uint8Array.of(0xaf, 1, 2) };
  const script: FlvTag = { type: SCRIPT, timestampMs: 0, body: encodeAmf0(['onMetaData', new Map([['width', 640]])]) };
  const driver = playing().receive(media(script), media(), media(audio), media({ ...audio, body: new Uint8Array(0) }));
  assert.equal(
    driver.tags.map((tag) => ({ ...tag, body: [...tag.body] })),
    [script, MEDIA, audio].map((tag) => ({ ...tag, body: [...tag.body] })),
  );
});

test('an aggregate is taken apart, and script data in AMF3 clothes is undressed', () => {
  const parts = [0, 20].map((timestampMs): FlvTag => ({ type: AUDIO, timestampMs, body: Uint8Array.of(0xaf, 1, timestampMs) }));
  const aggregate = encodeMessage({ type: 22, timestampMs: 1000, chunkStream: 6, body: bytesOf(...parts.map(encodeTag)) });
  const body = encodeAmf0(['onMetaData', new Map([['a', 1]])]);
  const driver = playing().receive(aggregate, encodeMessage({ type: 15, body: bytesOf([0], body) }));
  assert.equal(
    driver.tags.map(({ type, timestampMs }) => [type, timestampMs]),
    [
      [AUDIO, 1000],
      [AUDIO, 1020],
      [SCRIPT, 0],
    ],
  );
  assert.equal([...(driver.tags[2]?.body ?? [])], [...body]);
});

test('what a server tells its player alone is no tag, and neither is media before play', () => {
  const driver = connecting().receive(media(), CONNECTED, CREATED);
  for (const name of ['|RtmpSampleAccess', 'onStatus', 'onPlayStatus'])
    driver.receive(encodeMessage({ type: 18, body: encodeAmf0([name, info('NetStream.Data.Start')]) }));
  assert.equal(driver.tags, []);
});

test('commands in AMF3 clothes are understood', () => {
  const driver = connecting();
  const values = ['_result', 1, null, info('NetConnection.Connect.Success')];
  driver.receive(encodeMessage({ type: 17, body: bytesOf([0], encodeAmf0(values)) }));
  assert.is(commandsOf(driver)[1]?.[0], 'createStream');
});

test('pings are answered, the window is announced, and received bytes are acknowledged', () => {
  const driver = playing().receive(userControl(6, 1, 2, 3, 4));
  assert.equal(messagesOf(driver).at(-1)?.body, Uint8Array.of(0, 7, 1, 2, 3, 4));
  driver.receive(control(6, 5_000_000, 2));
  assert.equal([messagesOf(driver).at(-1)?.type, messagesOf(driver).at(-1)?.body], [5, Uint8Array.of(0, 0x4c, 0x4b, 0x40)]);
  const { length } = driver.sent;
  driver.receive(control(6, 5_000_000, 2), control(5, 1), control(5, 0));
  assert.is(driver.sent.length, length);
  const frame = media({ ...MEDIA, body: new Uint8Array(20_000).fill(0x17) });
  driver.receive(frame);
  const last = messagesOf(driver).at(-1);
  assert.is(last?.type, 3);
  assert.ok(Buffer.from(last?.body ?? []).readUInt32BE() > 20_000);
});

test('a larger chunk size of the server is obeyed', () => {
  const body = new Uint8Array(3000).fill(0x27);
  const head = [6, 0, 0, 1, 0, 0x0b, 0xb8, 9, 1, 0, 0, 0];
  const driver = playing().receive(control(1, 4096), head, body);
  assert.equal(
    driver.tags.map((tag) => tag.body.length),
    [3000],
  );
});

test('a publisher that leaves is told once, and its silence is no loss until the server itself falls silent', () => {
  for (const sign of [status('NetStream.Play.UnpublishNotify'), status('NetStream.Play.Stop'), userControl(1, 0, 0, 0, 1)]) {
    const driver = playing().receive(media()).receive(sign, status('NetStream.Play.Stop'));
    assert.equal(driver.kinds, ['accepted', 'tag', 'unpublished']);
    driver.wait(140_000);
    assert.is(driver.outcome, '');
    driver.wait(10_000);
    assert.is(driver.outcome, 'failed: the server has been silent since its publisher left');
  }
});

test('a publisher that comes back is expected to send media', () => {
  for (const sign of [status('NetStream.Play.PublishNotify'), status('NetStream.Play.Start'), userControl(0, 0, 0, 0, 1), media()]) {
    const driver = playing().receive(status('NetStream.Play.UnpublishNotify')).wait(60_000).receive(sign).wait(10_000);
    assert.is(driver.outcome, 'failed: no media came for 10 s');
  }
});

test('the end of a recording counts as the publisher leaving', () => {
  const body = encodeAmf0(['onPlayStatus', info('NetStream.Play.Complete')]);
  assert.equal(playing().receive(encodeMessage({ type: 18, body })).kinds, ['accepted', 'unpublished']);
});

test('a server that sends no media, or none any more, is lost after ten seconds', () => {
  assert.is(playing().wait(9_999).outcome, '');
  assert.is(playing().wait(10_000).outcome, 'failed: no media came for 10 s');
  const driver = playing().wait(6_000).receive(media()).wait(9_000);
  assert.is(driver.outcome, '');
  assert.is(driver.receive(userControl(0, 0, 0, 0, 1)).wait(1_000).outcome, 'failed: no media came for 10 s');
});

test('each step has ten seconds', () => {
  const drivers = [client(), client().receive(SHAKE.subarray(0, 2000)), connecting(), connecting().receive(CONNECTED)];
  for (const driver of drivers) assert.is(driver.wait(10_000).outcome, 'failed: the server does not answer');
});

test('statuses that mean the end say so, and none of them quotes the server', () => {
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [status('NetStream.Play.StreamNotFound', 'error'), 'failed: the server has no such stream'],
    [status('NetStream.Play.Failed', 'error'), 'failed: the server refuses to play the stream'],
    [status('NetStream.Weird.Thing', 'error'), 'failed: the server reports an error (NetStream.Weird.Thing)'],
    [status('name?token=secret', 'error'), 'failed: the server reports an error'],
    [status('NetConnection.Connect.Closed'), 'end: the server closes the connection'],
    [command('close', 0, null), 'end: the server closes the stream'],
    [status('NetConnection.Connect.ReconnectRequest'), 'end: the server asks us to connect again'],
  ];
  for (const [bytes, outcome] of cases) {
    const driver = playing().receive(media(), bytes);
    assert.is(driver.outcome, outcome);
    assert.is(driver.isOpen, false);
    assert.is(driver.timers.size, 0);
    const count = driver.events.length;
    assert.is(driver.receive(media()).close().events.length, count);
  }
  assert.is(playing().receive(status('NetStream.Play.Reset'), status('NetStream.Play.InsufficientBW', 'warning')).outcome, '');
});

test('a connection that is rejected may be tried again, unless a person must change something', () => {
  const rejected = (description: string): string =>
    connecting().receive(command('_error', 1, null, info('NetConnection.Connect.Rejected', [['description', description]], 'error')))
      .outcome;
  assert.is(rejected('no'), 'failed: the server rejects the connection');
  assert.match(rejected('[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : '), /^failed for good: .*not supported/);
  assert.is(connecting().receive(CONNECTED, command('_error', 2, null, info('x'))).outcome, 'failed: the server refuses to open a stream');
});

test('a redirect leads to a stream, or to our stream in an application', () => {
  const redirected = (target: AmfValue): string => {
    const extra = new Map<string, AmfValue>([
      ['code', 302],
      ['redirect', target],
    ]);
    return connecting().receive(command('_error', 1, null, info('NetConnection.Connect.Rejected', [['ex', extra]], 'error'))).outcome;
  };
  assert.is(redirected('rtmp://other.example:1936/live'), 'redirect: rtmp://other.example:1936/live/name?token=secret');
  assert.is(redirected('rtmp://other.example/live/'), 'redirect: rtmp://other.example/live/name?token=secret');
  assert.is(redirected('rtmp://other.example/edge/that'), 'redirect: rtmp://other.example/edge/that');
  assert.is(redirected('file:///etc/passwd'), 'failed: the server redirects to an address that is no source');
  assert.is(redirected(7), 'failed: the server rejects the connection');
  const elsewhere = command('onStatus', 0, null, info('NetConnection.Connect.ReconnectRequest', [['tcUrl', 'rtmp://b.example/live']]));
  assert.is(playing().receive(elsewhere).outcome, 'redirect: rtmp://b.example/live/name?token=secret');
});

test('other protocols are named, and broken bytes end the connection', () => {
  assert.match(client().receive('HTTP/1.1 400 Bad Request\r\n').outcome, /not RTMP: it looks like HTTP/);
  assert.match(client().receive([0x15, 3, 1]).outcome, /not RTMP: it looks like TLS; use rtmps:/);
  assert.match(playing().receive([0xc9]).outcome, /not RTMP: chunk stream 9 starts with format 3/);
  assert.match(playing().receive(control(1, 0)).outcome, /not RTMP: chunk size 0/);
  assert.match(connecting().receive([3, 0, 0, 0, 1, 0, 1, 20, 0, 0, 0, 0]).outcome, /message of 65537 bytes, at most 65536 accepted/);
  assert.match(playing().receive([3, 0, 0, 0, 0xff, 0xff, 0xff, 9, 0, 0, 0, 0]).outcome, /at most 8388608 accepted/);
});

test('commands and script data that cannot be read are odd, not fatal', () => {
  const driver = playing().receive(encodeMessage({ type: COMMAND, body: Uint8Array.of(0x11) }));
  driver.receive(encodeMessage({ type: 18, body: Uint8Array.of(0x11) }), media());
  assert.is(driver.oddities, 'commands that cannot be read | script data that cannot be read');
  assert.is(driver.tags.length, 1);
});

test('a flood of pings ends the connection', () => {
  const flood = Array.from({ length: 100 }, () => userControl(6, 0, 0, 0, 0));
  assert.match(playing().receive(...flood).outcome, /more than 64 control messages in a second/);
});

test('an address without a stream fails for good', () => {
  assert.match(client('rtmp://origin.example/live').outcome, /^failed for good: .*names no stream/);
});

test('a connection that closes says when', () => {
  assert.is(connecting().close().outcome, 'failed: the server closed the connection before the stream began');
  assert.is(playing().close().outcome, 'failed: the server closed the connection');
});

test.run();
