/** The media host with real programs: ffmpeg publishes, ffprobe and ffmpeg play; and what the host says when it cannot start. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MediaHost, type MediaHostOptions } from '../../src/io/rtmp/media-host.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { classifyTag, type FlvTag } from '../../src/media/flv.js';
import { MemoryLog } from '../support/memory-log.js';
import { waitUntil } from '../support/rtmp-client.js';

const PATH = '/live/main';
const KEY = 'sk_secret-key';
const PROGRAM_MS = 15_000;
const execute = promisify(execFile);

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

interface Scene {
  readonly host: MediaHost;
  readonly log: MemoryLog;
  readonly tags: FlvTag[];
  readonly events: string[];
}

function startHost(log: MemoryLog, options: Partial<MediaHostOptions> = {}): Promise<MediaHost> {
  return MediaHost.start({
    host: '127.0.0.1',
    port: 0,
    log,
    authorisePublish: ({ app, name, query }) =>
      app === 'live' && (name === KEY || query['key'] === KEY)
        ? { allowed: true, streamPath: PATH }
        : { allowed: false, reason: 'unknown stream key' },
    ...options,
  });
}

/** The error that a start must end with. */
async function failure(start: Promise<MediaHost>): Promise<ShoalError> {
  const outcome = await start.catch((error: unknown) => error);
  assert.instance(outcome, ShoalError);
  return outcome as ShoalError;
}

async function withHost(run: (scene: Scene) => Promise<void>, options: Partial<MediaHostOptions> = {}): Promise<void> {
  const log = new MemoryLog();
  const host = await startHost(log, options);
  const scene: Scene = { host, log, tags: [], events: [] };
  host.tap(PATH, {
    onTag: (tag) => scene.tags.push(tag),
    onPublisherStart: () => scene.events.push('start'),
    onPublisherEnd: (reason) => scene.events.push(`end: ${reason}`),
  });
  try {
    await run(scene);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await host.stop();
  }
}

/** A live H.264 (with B-frames) and AAC publisher. */
function publish({ host }: Scene, name: string, seconds: number): ChildProcess {
  const inputs = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-f', 'lavfi', '-i', 'sine', '-t', `${seconds}`];
  const video = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '2', '-g', '25', '-pix_fmt', 'yuv420p'];
  const output = ['-c:a', 'aac', '-f', 'flv', `rtmp://127.0.0.1:${host.port}/live/${name}`];
  const child = spawn('ffmpeg', ['-v', 'error', ...inputs, ...video, ...output], { stdio: ['ignore', 'ignore', 'ignore'] });
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

/** Codec names of the streams that ffprobe finds at the host. */
async function probe({ host }: Scene): Promise<readonly string[]> {
  const options = ['-v', 'error', '-analyzeduration', '1000000', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0'];
  const { stdout } = await execute('ffprobe', [...options, `rtmp://127.0.0.1:${host.port}${PATH}`], { timeout: PROGRAM_MS });
  return stdout.trim().split('\n').sort();
}

test('what ffmpeg publishes reaches the tap whole, and ffprobe and ffmpeg play it from the host', async () => {
  await withHost(async (scene) => {
    const publisher = publish(scene, KEY, 5);
    await waitUntil(() => scene.tags.some((tag) => classifyTag(tag).key), 'a key frame', PROGRAM_MS);
    assert.equal(await probe(scene), ['aac', 'h264']);
    const player = ['-v', 'error', '-xerror', '-i', `rtmp://127.0.0.1:${scene.host.port}${PATH}`, '-t', '1', '-f', 'null', '-'];
    const { stderr } = await execute('ffmpeg', player, { timeout: PROGRAM_MS });
    assert.is(stderr, '');
    const [exitCode] = (await once(publisher, 'close')) as [number];
    assert.is(exitCode, 0);
    await waitUntil(() => scene.events.length === 2, 'the end of the publish');
    const kinds = scene.tags.map((tag) => `${tag.type} ${classifyTag(tag).kind}`);
    assert.equal(kinds.slice(0, 3).sort(), ['18 metadata', '8 header', '9 header']);
    const frames = scene.tags.filter((tag) => tag.type === 9 && classifyTag(tag).kind === 'frame');
    assert.is(frames.length, 125, 'every frame of five seconds');
    assert.is(frames.filter((tag) => classifyTag(tag).key).length, 5);
    assert.ok(
      frames.some(({ body }) => (body[3] ?? 0) + (body[4] ?? 0) > 0),
      'B-frames have composition offsets',
    );
    assert.equal(scene.log.complaints, []);
    assert.not.match(scene.log.text, KEY);
  });
});

test('ffmpeg with a wrong key ends with an error, and nothing of it reaches the tap', async () => {
  await withHost(async (scene) => {
    const [exitCode] = (await once(publish(scene, 'sk_wrong-key', 5), 'close')) as [number];
    assert.is.not(exitCode, 0);
    assert.equal(scene.tags, []);
    assert.equal(scene.events, []);
    assert.equal(scene.log.complaints, ['RTMP client refused: unknown stream key']);
    assert.not.match(scene.log.text, 'sk_wrong-key');
  });
});

test('the key may come in the query, and a publisher that is killed can come back at once', async () => {
  await withHost(async (scene) => {
    const first = publish(scene, `main?key=${KEY}`, 10);
    await waitUntil(() => scene.tags.some((tag) => classifyTag(tag).key), 'a key frame', PROGRAM_MS);
    first.kill('SIGKILL');
    await waitUntil(() => scene.events.length === 2, 'the end of the first');
    scene.tags.length = 0;
    await once(publish(scene, `main?key=${KEY}`, 1), 'close');
    await waitUntil(() => scene.events.length === 4, 'the end of the second');
    assert.equal(scene.events.filter((event) => event === 'start').length, 2);
    const firstFrame = scene.tags.find((tag) => tag.type === 9 && classifyTag(tag).kind === 'frame');
    assert.ok(firstFrame !== undefined && firstFrame.timestampMs < 200, 'timestamps start again');
  });
});

test('a frozen ffmpeg is dropped, with the reason in the log, and its path is free', async () => {
  await withHost(
    async (scene) => {
      const frozen = publish(scene, KEY, 20);
      await waitUntil(() => scene.tags.length > 10, 'tags', PROGRAM_MS);
      frozen.kill('SIGSTOP');
      await waitUntil(() => scene.events.length === 2, 'the drop', PROGRAM_MS);
      assert.equal(scene.log.complaints, ['RTMP client dropped: the publisher sent no audio or video for 1 s']);
      scene.host.openPublisher(PATH).end();
    },
    { silentPublisherMs: 1000 },
  );
});

test('a feed of recorded tags plays in ffprobe with video and audio', async () => {
  const recorded: FlvTag[] = [];
  await withHost(async (scene) => {
    await once(publish(scene, KEY, 2), 'close');
    recorded.push(...scene.tags);
  });
  await withHost(async (scene) => {
    const feed = scene.host.openPublisher(PATH);
    const probing = probe(scene);
    for (const tag of recorded) feed.push(tag);
    assert.equal(await probing, ['aac', 'h264']);
    assert.is(scene.tags.length, 0, 'a feed is not tapped');
  });
});

test('a taken port is named, with the setting that changes it, and the next start succeeds', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const error = await failure(startHost(new MemoryLog(), { port }));
  assert.is(error.code, 'PORT_TAKEN');
  assert.match(error.message, `127.0.0.1:${port}`);
  assert.match(error.message, 'station.rtmp.port');
  assert.match(error.message, 'relay.rtmp.port');
  other.close();
  await (await startHost(new MemoryLog())).stop();
});

test('an address of another machine is named as unusable', async () => {
  const error = await failure(startHost(new MemoryLog(), { host: '192.0.2.1' }));
  assert.is(error.code, 'ADDRESS_UNUSABLE');
  assert.match(error.message, '192.0.2.1:0');
});

test('a second host in one process is refused while the first runs', async () => {
  const first = await startHost(new MemoryLog());
  const error = await failure(startHost(new MemoryLog()));
  assert.is(error.code, 'HOST_RUNNING');
  await first.stop();
  await first.stop();
  await (await startHost(new MemoryLog())).stop();
});

test('stopping tells the tap, ends every client, and leaves nothing in the library', async () => {
  await withHost(async (scene) => {
    const publisher = publish(scene, KEY, 20);
    await waitUntil(() => scene.tags.length > 5, 'tags', PROGRAM_MS);
    await scene.host.stop();
    await once(publisher, 'close');
    assert.equal(scene.events, ['start', 'end: the media host stopped']);
  });
});

test.run();
