/** The MMS service against real players, at one port: each decodes frames over every protocol it speaks. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MmstTestServer } from '../support/mmst-server.js';
import { type Exit, Program, temporaryFolder } from '../support/program.js';
import { until } from '../support/until.js';

/** VLC refuses to run as root. */
const NOBODY_ID = 65_534;
const PATIENCE_MS = 60_000;
const FRAME_COUNT = 50;
/** Enough for all players, which run a few at a time. */
const RECORDING_SECONDS = 90;

let server: MmstTestServer;
/** Started together, because each spends most of its time waiting for live media. */
const runs = new Map<string, Promise<Run>>();

interface Run {
  readonly exit: Exit;
  readonly output: string;
  readonly errors: string;
}

function run(name: string, command: string, words: readonly string[]): void {
  // ffmpeg never ends by itself over MMST once the server is gone.
  const program = new Program('timeout', ['-k', '1', '50', command, ...words]);
  runs.set(
    name,
    program.whenExited(PATIENCE_MS).then((exit) => ({ exit, output: program.output, errors: program.errors })),
  );
}

async function ran(name: string): Promise<Run> {
  const found = await runs.get(name);
  if (found === undefined) throw new Error(`${name} was not started`);
  return found;
}

/** Frames that ffmpeg says it decoded, at its end. */
function framesOf(text: string): number {
  return Number([...text.matchAll(/frame=\s*(\d+)/g)].at(-1)?.[1] ?? 0);
}

function startPlayers(): void {
  for (const scheme of ['mmsh', 'mmst'] as const) {
    run(`ffmpeg ${scheme}`, 'ffmpeg', ['-hide_banner', '-nostdin', '-i', server.url(scheme), '-t', '3', '-f', 'null', '-']);
    run(`ffprobe ${scheme}`, 'ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0', server.url(scheme)]);
  }
  for (const scheme of ['mmsh', 'mmst', 'mms'] as const) {
    const silent = ['-noconfig', 'all', '-nolirc', '-nocache', '-vo', 'null', '-ao', 'null'];
    run(`mplayer ${scheme}`, 'mplayer', [...silent, '-frames', String(FRAME_COUNT), '-v', server.url(scheme)]);
    run(`mpv ${scheme}`, 'mpv', ['--no-config', '--vo=null', '--ao=null', `--frames=${FRAME_COUNT}`, server.url(scheme)]);
  }
}

test.before(async () => {
  server = await MmstTestServer.start({ seconds: RECORDING_SECONDS });
  startPlayers();
});

test.after(() => server.stop());

for (const scheme of ['mmsh', 'mmst'] as const) {
  test(`ffmpeg decodes three seconds over ${scheme} without errors`, async () => {
    const { errors } = await ran(`ffmpeg ${scheme}`);
    assert.ok(framesOf(errors) >= 45, errors.slice(-2000));
    assert.not.match(errors, /error|invalid|corrupt/i);
  });

  test(`ffprobe finds both streams over ${scheme}`, async () => {
    const { exit, output, errors } = await ran(`ffprobe ${scheme}`);
    assert.is(exit.code, 0, errors);
    assert.equal(output.trim().split('\n').sort(), ['wmav2', 'wmv2']);
  });
}

for (const scheme of ['mmsh', 'mmst', 'mms'] as const) {
  test(`mplayer decodes ${FRAME_COUNT} frames over ${scheme}`, async () => {
    const { output } = await ran(`mplayer ${scheme}`);
    assert.match(output, /VO: \[null\]/);
    assert.match(output, new RegExp(`V:.*\\b${FRAME_COUNT - 2}/`), output.slice(-2000));
  });

  test(`mpv decodes ${FRAME_COUNT} frames over ${scheme}`, async () => {
    const { exit, output } = await ran(`mpv ${scheme}`);
    assert.is(exit.code, 0, output.slice(-2000));
    assert.not.match(output, /Error|Invalid|corrupt/);
  });

  test(`VLC records a stream over ${scheme} that decodes`, async () => {
    const folder = temporaryFolder('vlc');
    chmodSync(folder, 0o777);
    const path = join(folder, 'out.asf');
    const words = ['-I', 'dummy', '-vv', '--sout', `#std{access=file,mux=asf,dst=${path}}`, server.url(scheme), 'vlc://quit'];
    const program = new Program('cvlc', words, { userId: NOBODY_ID, env: { ...process.env, HOME: folder } });
    const size = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    await until(`VLC writes 100 kB over ${scheme}`, () => size() > 100_000, 20_000);
    await program.stop();
    const decoded = spawnSync('ffmpeg', ['-hide_banner', '-nostdin', '-i', path, '-f', 'null', '-'], { encoding: 'utf8' });
    assert.ok(framesOf(decoded.stderr) > 15, decoded.stderr.slice(-2000));
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
  const startOffset = file.indexOf(dumped.subarray(headerBytes, headerBytes + packetBytes));
  assert.ok(startOffset > 0, 'the first packet of the dump is one of the recording');
  const wholeBytes = Math.floor((dumped.length - headerBytes) / packetBytes) * packetBytes;
  assert.ok(dumped.subarray(headerBytes, headerBytes + wholeBytes).equals(file.subarray(startOffset, startOffset + wholeBytes)));
});

test.run();
