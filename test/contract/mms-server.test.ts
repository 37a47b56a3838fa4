/** The MMS service against real players, at one port: each decodes frames over every protocol it speaks. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MmstTestServer } from '../support/mmst-server.js';
import { type Exit, Program, temporaryFolder } from '../support/program.js';
import { until } from '../support/until.js';

const PLAY_MS = 40_000;
const FRAME_COUNT = 50;

let server: MmstTestServer;

async function run(command: string, words: readonly string[], options: ConstructorParameters<typeof Program>[2] = {}): Promise<[Program, Exit]> {
  const program = new Program('timeout', ['-k', '1', '30', command, ...words], options);
  return [program, await program.whenExited(PLAY_MS)];
}

/** Frames that ffmpeg says it decoded, at its end. */
function framesOf(text: string): number {
  return Number([...text.matchAll(/frame=\s*(\d+)/g)].at(-1)?.[1] ?? 0);
}

/** VLC refuses root, so it runs as an ordinary user, who is made on machines that do not have one. */
function viewerId(): number {
  const found = spawnSync('id', ['-u', 'viewer'], { encoding: 'utf8' });
  if (found.status !== 0) execFileSync('useradd', ['-m', 'viewer']);
  return Number(execFileSync('id', ['-u', 'viewer'], { encoding: 'utf8' }));
}

test.before(async () => {
  server = await MmstTestServer.start({ seconds: 150 });
});

test.after(() => server.stop());

for (const scheme of ['mmsh', 'mmst'] as const) {
  test(`ffmpeg decodes three seconds over ${scheme} without errors`, async () => {
    const [program] = await run('ffmpeg', ['-hide_banner', '-nostdin', '-i', server.url(scheme), '-t', '3', '-f', 'null', '-']);
    assert.ok(framesOf(program.errors) >= 45, program.errors.slice(-2000));
    assert.not.match(program.errors, /error|invalid|corrupt/i);
  });

  test(`ffprobe finds both streams over ${scheme}`, async () => {
    const [program, exit] = await run('ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0', server.url(scheme)]);
    assert.is(exit.code, 0, program.errors);
    assert.equal(program.output.trim().split('\n').sort(), ['wmav2', 'wmv2']);
  });
}

for (const scheme of ['mmsh', 'mmst', 'mms'] as const) {
  test(`mplayer decodes ${FRAME_COUNT} frames over ${scheme}`, async () => {
    const words = ['-noconfig', 'all', '-nolirc', '-nocache', '-vo', 'null', '-ao', 'null', '-frames', String(FRAME_COUNT), '-v', server.url(scheme)];
    const [program] = await run('mplayer', words);
    assert.match(program.output, /VO: \[null\]/);
    assert.match(program.output, new RegExp(`V:.*\\b${FRAME_COUNT - 2}/`), program.output.slice(-2000));
  });

  test(`mpv decodes ${FRAME_COUNT} frames over ${scheme}`, async () => {
    const [program, exit] = await run('mpv', ['--no-config', '--vo=null', '--ao=null', `--frames=${FRAME_COUNT}`, server.url(scheme)]);
    assert.is(exit.code, 0, program.output.slice(-2000));
  });
}

for (const scheme of ['mmsh', 'mms', 'mmst'] as const) {
  test(`VLC records a stream over ${scheme} that decodes`, async () => {
    const folder = temporaryFolder('vlc');
    chmodSync(folder, 0o777);
    const path = join(folder, 'out.asf');
    const id = viewerId();
    const words = ['-I', 'dummy', '-vv', '--sout', `#std{access=file,mux=asf,dst=${path}}`, server.url(scheme), 'vlc://quit'];
    const program = new Program('cvlc', words, { userId: id, env: { ...process.env, HOME: folder } });
    const size = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    await until(`VLC writes 150 kB; it said ${program.errors.slice(-1000)}`, () => size() > 150_000, 20_000);
    await program.stop();
    const decoded = spawnSync('ffmpeg', ['-hide_banner', '-nostdin', '-i', path, '-f', 'null', '-'], { encoding: 'utf8' });
    assert.ok(framesOf(decoded.stderr) > 20, decoded.stderr.slice(-2000));
  });
}

test('what mplayer dumps over MMST are the packets that went in, byte for byte', async () => {
  const path = join(temporaryFolder('dump'), 'out.asf');
  const words = ['-noconfig', 'all', '-nolirc', '-really-quiet', '-dumpstream', '-dumpfile', path, server.url('mmst')];
  const program = new Program('mplayer', words);
  await until('mplayer dumps 200 kB', () => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 200_000, 20_000);
  await program.stop();
  const dumped = readFileSync(path);
  const file = readFileSync(server.recording.path);
  const { packetBytes } = server.recording.header;
  const headerBytes = server.recording.headerBytes.length;
  const first = dumped.subarray(headerBytes, headerBytes + packetBytes);
  const startOffset = file.indexOf(first);
  assert.ok(startOffset > 0, 'the first packet of the dump is one of the recording');
  const wholeBytes = Math.floor((dumped.length - headerBytes) / packetBytes) * packetBytes;
  assert.ok(dumped.subarray(headerBytes, headerBytes + wholeBytes).equals(file.subarray(startOffset, startOffset + wholeBytes)));
});

test.run();
