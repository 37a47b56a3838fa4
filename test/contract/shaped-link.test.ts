/** The line that measurements put in front of a seeder: what it promises about rate, delay, freezing and spoiled bytes, over real sockets. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShapedLink, type ShapedLinkOptions } from '../../bench/support/shaped-link.js';
import { until } from '../support/until.js';

const SENT = Buffer.alloc(300_000, 'title ');

/** A target that gives `SENT` to everybody and hangs up, or keeps what it hears. */
async function startTarget() {
  const heard: Buffer[] = [];
  let isSilent = false;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (bytes) => heard.push(bytes)).on('error', () => undefined);
    if (!isSilent) socket.end(SENT);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    heard: () => Buffer.concat(heard).toString(),
    beSilent: () => {
      isSilent = true;
    },
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function scene(options: Omit<ShapedLinkOptions, 'targetPort'> = {}) {
  const target = await startTarget();
  const link = await ShapedLink.start({ ...options, targetPort: target.port });
  const sockets: Socket[] = [];
  return {
    target,
    link,
    /** What a caller gets, and how long after its call it had all of it. */
    call: () => {
      const socket = connect(link.port, link.host);
      sockets.push(socket);
      const chunks: Buffer[] = [];
      const beganMs = performance.now();
      const result = { socket, bytes: () => Buffer.concat(chunks), endedMs: Number.NaN, isEnded: () => !Number.isNaN(result.endedMs) };
      socket.on('data', (bytes) => chunks.push(bytes)).on('error', () => undefined);
      socket.on('end', () => {
        result.endedMs = performance.now() - beganMs;
      });
      return result;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await link.stop();
      target.stop();
    },
  };
}

test('without limits everything arrives as it was sent', async () => {
  const { link, call, close } = await scene();
  const caller = call();
  await until('all has arrived', caller.isEnded);
  assert.ok(caller.bytes().equals(SENT));
  assert.is(link.givenBytes, SENT.length);
  await close();
});

test('a connection is never faster than its rate', async () => {
  const { call, close } = await scene({ bytesPerSecond: 600_000 });
  const [one, other] = [call(), call()];
  await until('both have all', () => one.isEnded() && other.isEnded());
  assert.ok(one.bytes().equals(SENT) && other.bytes().equals(SENT));
  for (const { endedMs } of [one, other]) assert.ok(endedMs >= 470, `${endedMs} ms for 300 kB at 600 kB/s with a burst of 12 kB`);
  await close();
});

test('all connections together are never faster than the total', async () => {
  const { call, close } = await scene({ totalBytesPerSecond: 1_000_000 });
  const [one, other] = [call(), call()];
  await until('both have all', () => one.isEnded() && other.isEnded());
  assert.ok(Math.max(one.endedMs, other.endedMs) >= 570, `${one.endedMs} and ${other.endedMs} ms for 600 kB at 1 MB/s`);
  await close();
});

test('bytes are late by the delay in each direction', async () => {
  const { target, call, close } = await scene({ delayMs: 60 });
  const caller = call();
  caller.socket.write('hello');
  const beganMs = performance.now();
  await until('the target hears it', () => target.heard() === 'hello');
  assert.ok(performance.now() - beganMs >= 55);
  await until('all has arrived', caller.isEnded);
  assert.ok(caller.endedMs >= 55);
  assert.ok(caller.bytes().equals(SENT));
  await close();
});

test('a frozen line lets nothing through, loses nothing, and goes on', async () => {
  const { link, target, call, close } = await scene({ bytesPerSecond: 1_000_000 });
  const caller = call();
  await until('some has arrived', () => caller.bytes().length > 0);
  link.isFrozen = true;
  caller.socket.write('hello');
  const late = call();
  const had = link.givenBytes;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(link.givenBytes, had);
  assert.is(late.bytes().length, 0);
  assert.is(target.heard(), '');
  assert.is(caller.isEnded() || late.isEnded(), false);
  link.isFrozen = false;
  await until('both have all', () => caller.isEnded() && late.isEnded());
  assert.ok(caller.bytes().equals(SENT) && late.bytes().equals(SENT));
  await close();
});

test('spoiled slices have one wrong byte each, as many as asked for', async () => {
  const { link, call, close } = await scene();
  link.corruptRatio = 0.5;
  const caller = call();
  await until('all has arrived', caller.isEnded);
  const got = caller.bytes();
  assert.is(got.length, SENT.length);
  const wrong = [...got.keys()].filter((place) => got[place] !== SENT[place]).length;
  assert.ok(wrong >= 5 && wrong <= 20, `${wrong} wrong bytes in about 20 slices`);
  await close();
});

test('a caller that hangs up takes its connection to the target with it', async () => {
  const { link, target, call, close } = await scene();
  target.beSilent();
  const caller = call();
  await until('it is connected', () => link.connectionCount === 1);
  caller.socket.destroy();
  await until('it is gone', () => link.connectionCount === 0);
  await close();
});

test.run();
