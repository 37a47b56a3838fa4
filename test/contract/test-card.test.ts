/** The test card as a real ffmpeg makes it: what arrives, that it comes back after a death, that it ends at once, and what is said without ffmpeg. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findFfmpeg } from '../../src/io/programs/ffmpeg.js';
import { launchPlayer } from '../../src/io/programs/player.js';
import { findProgram, installHint } from '../../src/io/programs/program.js';
import { startTestCard } from '../../src/io/programs/test-card.js';
import { ShoalError } from '../../src/kernel/errors.js';
import type { Log } from '../../src/kernel/ports.js';

const test = suite<{ dir: string }>('ffmpeg');
const DEADLINE_MS = 15_000;
const PATH = process.env['PATH'] ?? '';

const lines: string[] = [];
const keep = (message: string, fields: object = {}): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
const log: Log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log };

async function until(isTrue: () => boolean, what: string): Promise<void> {
  const deadlineMs = Date.now() + DEADLINE_MS;
  while (!isTrue()) {
    if (Date.now() > deadlineMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Accepts connections, counts bytes, answers nothing. */
async function listener(): Promise<{ server: Server; port: number; sockets: Socket[]; count: () => number }> {
  let bytes = 0;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', (data) => {
      bytes += data.length;
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  return { server, port: address.port, sockets, count: () => bytes };
}

function probe(path: string): { streams: Record<string, string>[]; keyFrameSeconds: number[] } {
  const entries = ['-show_entries', 'stream=codec_name,width,height,r_frame_rate,sample_rate,has_b_frames'];
  const shown = execFileSync('ffprobe', ['-v', 'error', ...entries, '-of', 'json', path], { encoding: 'utf8' });
  const packets = execFileSync(
    'ffprobe',
    ['-v', 'error', '-select_streams', 'v', '-show_entries', 'packet=pts_time,flags', '-of', 'csv=p=0', path],
    {
      encoding: 'utf8',
    },
  );
  const keys = packets.split('\n').filter((line) => /,K/.test(line));
  return { streams: JSON.parse(shown).streams, keyFrameSeconds: keys.map((line) => Number(line.split(',')[0])) };
}

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-ffmpeg-'));
  lines.length = 0;
});
test.after.each(({ dir }) => {
  process.env['PATH'] = PATH;
  rmSync(dir, { recursive: true });
});

test('ffmpeg is found with its version', async () => {
  const found = await findFfmpeg();
  assert.ok(found?.path.startsWith('/'));
  assert.match(String(found?.version), /\d/);
});

test('the card has the promised picture and sound, in real time, with a key frame every two seconds', async ({ dir }) => {
  const path = join(dir, 'card.flv');
  const startedMs = Date.now();
  const card = await startTestCard({ rtmpUrl: path, log });
  await until(() => sizeOf(path) > 300_000, 'three seconds of media');
  const tookMs = Date.now() - startedMs;
  await card.stop();
  assert.ok(tookMs > 1800, `not paced: ${tookMs} ms`);
  const { streams, keyFrameSeconds } = probe(path);
  assert.equal(
    streams.map(({ codec_name }) => codec_name),
    ['h264', 'aac'],
  );
  assert.equal([streams[0]?.['width'], streams[0]?.['height'], streams[0]?.['r_frame_rate']], [640, 360, '25/1']);
  assert.is(Number(streams[0]?.['has_b_frames']), 0);
  assert.ok(keyFrameSeconds.length >= 2, `${keyFrameSeconds}`);
  assert.ok(Math.abs((keyFrameSeconds[1] ?? 0) - (keyFrameSeconds[0] ?? 0) - 2) < 0.05, `${keyFrameSeconds}`);
  assert.equal(lines, []);
});

test('it ends within a second, even when the host has stopped listening to it', async () => {
  const { server, port, sockets, count } = await listener();
  const card = await startTestCard({ rtmpUrl: `rtmp://127.0.0.1:${port}/live/test?key=geheim-geheim`, log });
  await until(() => count() > 1000, 'the handshake');
  for (const socket of sockets) socket.pause();
  const startedMs = Date.now();
  await card.stop();
  assert.ok(Date.now() - startedMs < 1000, `${Date.now() - startedMs} ms`);
  for (const socket of sockets) socket.destroy();
  server.close();
});

test('it is started again when it dies, and its key is in no line', async () => {
  const { server, port, sockets } = await listener();
  const reasons: string[] = [];
  const card = await startTestCard({
    rtmpUrl: `rtmp://127.0.0.1:${port}/live/test?key=geheim-geheim`,
    log,
    onEnd: (reason) => {
      reasons.push(reason);
    },
  });
  for (const round of [1, 2]) {
    await until(() => sockets.length === round, `connection ${round}`);
    sockets.at(-1)?.destroy();
    await until(() => reasons.length === round, `end ${round}`);
  }
  await card.stop();
  const connections = sockets.length;
  server.close();
  assert.is(lines.length, 2);
  assert.not.match(lines.join() + reasons.join(), 'geheim');
  assert.is(connections, 2);
});

test('a stop while it waits to be started again is final', async () => {
  const { server, port, sockets } = await listener();
  server.close();
  const card = await startTestCard({ rtmpUrl: `rtmp://127.0.0.1:${port}/live/test`, log });
  await until(() => lines.length > 0, 'the refusal');
  await card.stop();
  assert.is(sockets.length, 0);
});

test('without ffmpeg the message has the command that installs it', async ({ dir }) => {
  process.env['PATH'] = dir;
  assert.is(await findFfmpeg(), null);
  const managers: [string, RegExp][] = [
    ['brew', /brew install ffmpeg$/],
    ['apk', /apk add ffmpeg$/],
    ['pacman', /pacman -S --noconfirm ffmpeg$/],
    ['dnf', /dnf install -y ffmpeg-free$/],
    ['apt-get', /apt-get install -y ffmpeg$/],
  ];
  for (const [manager, command] of managers) {
    writeFileSync(join(dir, manager), '#!/bin/sh\n', { mode: 0o755 });
    const error = await startTestCard({ rtmpUrl: 'rtmp://127.0.0.1:1/live/x', log }).then(
      () => undefined,
      (refused: unknown) => refused,
    );
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, 'FFMPEG_MISSING');
    assert.match((error as ShoalError).message, command);
  }
});

test('a program is a file that can be run, not a folder or a text of that name', ({ dir }) => {
  process.env['PATH'] = `${join(dir, 'a')}:${join(dir, 'b')}`;
  mkdirSync(join(dir, 'a', 'ffmpeg'), { recursive: true });
  mkdirSync(join(dir, 'b'));
  writeFileSync(join(dir, 'b', 'ffmpeg'), '');
  assert.is(findProgram('ffmpeg'), undefined);
  chmodSync(join(dir, 'b', 'ffmpeg'), 0o755);
  assert.is(findProgram('ffmpeg'), join(dir, 'b', 'ffmpeg'));
  assert.match(installHint('mpv'), 'install the package "mpv"');
});

test('a program that lies about being ffmpeg is none', async ({ dir }) => {
  process.env['PATH'] = dir;
  writeFileSync(join(dir, 'ffmpeg'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  assert.is(await findFfmpeg(), null);
});

test('a build without the codecs is told what it lacks, and without the clock it still makes a picture', async ({ dir }) => {
  const path = join(dir, 'card.flv');
  const stand = (lacks: string): void => {
    const script = `#!/bin/sh\ncase "$*" in *${lacks}*) echo "no ${lacks}" >&2; exit 1;; esac\nexec ${findProgram('ffmpeg')} "$@"\n`;
    writeFileSync(join(dir, 'ffmpeg'), script, { mode: 0o755 });
    process.env['PATH'] = `${dir}:${PATH}`;
  };
  stand('libx264');
  const error = await startTestCard({ rtmpUrl: path, log }).then(
    () => undefined,
    (refused: unknown) => refused,
  );
  assert.is((error as ShoalError).code, 'FFMPEG_FAILED');
  assert.match((error as ShoalError).message, 'no libx264');
  process.env['PATH'] = PATH;
  stand('drawtext');
  const card = await startTestCard({ rtmpUrl: path, log });
  await until(() => sizeOf(path) > 50_000, 'the picture');
  await card.stop();
  assert.equal(lines, []);
});

test('a player is given the address, and a missing one is told with the command that installs it', async ({ dir }) => {
  process.env['PATH'] = `${dir}:/bin`;
  const record = join(dir, 'arguments');
  writeFileSync(join(dir, 'mpv'), `#!/bin/sh\necho "$@" > ${record}\n`, { mode: 0o755 });
  launchPlayer('mpv', 'http://127.0.0.1:8080/live/news.flv');
  await until(() => sizeOf(record) > 0, 'the player');
  assert.match(readFileSync(record, 'utf8'), /http:\/\/127\.0\.0\.1:8080\/live\/news\.flv\n$/);
  process.env['PATH'] = dir;
  for (const player of ['vlc', 'ffplay'] as const) {
    assert.throws(
      () => launchPlayer(player, 'http://127.0.0.1/x'),
      (error: unknown) =>
        error instanceof ShoalError && error.code === 'PLAYER_MISSING' && error.message.includes(`${player} is not installed`),
    );
  }
});

test.run();
