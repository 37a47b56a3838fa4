/** Pins what we rely on in node-media-server, so that an upgrade that moves any of it fails here and says what moved. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createLocalSession,
  createPacket,
  createRtmpSession,
  hostContext,
  openBroadcast,
  startHost,
} from '../../src/io/rtmp/node-media-server.js';
import { MemoryLog } from '../support/memory-log.js';

const require = createRequire(import.meta.url);

test('the library is the version that the adapter was written for', () => {
  assert.is(require('node-media-server/package.json').version, '4.4.3');
});

test('its RTMP session has every field that the adapter replaces or calls', () => {
  const session = createRtmpSession(new Socket());
  for (const name of ['id', 'ip', 'protocol', 'streamPath', 'streamApp', 'streamName', 'inBytes', 'outBytes', 'isPublisher'] as const) {
    assert.ok(name in session, name);
  }
  assert.is(session.protocol, 'rtmp');
  assert.type(session.sendBuffer, 'function');
  assert.type(session.close, 'function');
  const { rtmp } = session;
  const methods = ['parserData', 'onConnect', 'onCreateStream', 'respondPublish', 'respondPlay', 'sendStatusMessage', 'sendACK'] as const;
  for (const name of methods) assert.type(rtmp[name], 'function', name);
  assert.type(rtmp.onOutputCallback, 'function');
});

test('its broadcast takes one publisher, keeps headers and group of pictures, and forgets them when the publish is finished', () => {
  const broadcast = openBroadcast('/live/pinned');
  const session = Object.assign(createLocalSession(), { streamPath: '/live/pinned' });
  assert.is(broadcast.postPublish(session), null);
  assert.is(broadcast.publisher, session);
  broadcast.broadcastMessage(createPacket(9, 0, Uint8Array.of(0x17, 0, 0, 0, 0, 1, 0, 0, 0), 2));
  broadcast.broadcastMessage(createPacket(9, 40, Uint8Array.of(0x17, 1, 0, 0, 0, 1, 0, 0, 0), 3));
  assert.instance(broadcast.rtmpVideoHeader, Buffer);
  assert.is(broadcast.rtmpGopCache?.size, 1);
  broadcast._finishPublish();
  assert.is(broadcast.publisher, null);
  assert.is(broadcast.rtmpVideoHeader, null);
  assert.is(hostContext.broadcasts.has('/live/pinned'), false);
});

test('an RTMP subscriber gets whole messages with a one-byte chunk stream and the type in byte 7', () => {
  const broadcast = openBroadcast('/live/pinned');
  const received: Buffer[] = [];
  const session = Object.assign(createLocalSession(), { protocol: 'rtmp', sendBuffer: (bytes: Buffer) => received.push(bytes) });
  broadcast.postPlay(session);
  broadcast.broadcastMessage(createPacket(9, 40, Uint8Array.of(0x17, 1, 0, 0, 0, 1, 0, 0, 99), 3));
  broadcast.broadcastMessage(createPacket(8, 0x1000000, Uint8Array.of(0xaf, 1, 0, 0, 0, 1, 0, 0, 98), 1));
  broadcast.donePlay(session);
  const [video, audio] = received;
  assert.is(video?.[7], 9);
  assert.is(video?.[12], 0x17);
  assert.is(audio?.[7], 8);
  assert.is(audio?.[16], 0xaf, 'an extended timestamp moves the body by four bytes');
});

test('the host starts without a listener, a file or a word on the console, and can be started again', async () => {
  const printed: unknown[] = [];
  const print = console.log;
  console.log = (...words: unknown[]) => printed.push(words);
  const log = new MemoryLog();
  for (let run = 0; run < 2; run++) {
    const stop = startHost(log);
    await stop();
  }
  console.log = print;
  assert.equal(printed, []);
  assert.ok(log.lines.length > 0);
  assert.ok(log.lines.every(({ level }) => level === 'debug'));
  assert.not(existsSync('data/relay_tasks.json'));
});

test.run();
