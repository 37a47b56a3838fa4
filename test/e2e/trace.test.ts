/** A viewer's live exchange recorded over loopback, and replayed by the simulator: the same effects, and a trace or a core that is another is noticed. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { Malformed } from '../../src/kernel/errors.js';
import { LiveExchange } from '../../src/relay/exchange/live-exchange.js';
import { decodeTrace, type LiveTrace } from '../../src/relay/trace/live-trace.js';
import { replayLive } from '../../src/sim/live-replay.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { temporaryFolder } from '../support/program.js';
import { runShoal, type ShoalProcess, startChannel, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const PORTS = { hasher: nodeHasher, verifier: nodeVerifier };
const folder = temporaryFolder('trace');
const recording = join(folder, 'viewer.trace');
const killedRecording = join(folder, 'killed.trace');

let station: ShoalProcess;
let recorded: ShoalProcess;
let killed: ShoalProcess;
let other: ShoalProcess;
let publisher: FfmpegPublisher;

function replayable(path: string): LiveTrace {
  const trace = decodeTrace(readFileSync(path));
  if (trace instanceof Malformed) throw new Error(trace.reason);
  return trace;
}

test.before(async () => {
  station = await startChannel('Recorded', { settings: { 'swarm.uploadBytesPerSecond': 200_000 } });
  publisher = new FfmpegPublisher(station.publishUrl(), { videoKilobitsPerSecond: 500 });
  const { link } = station.channel;
  const record = (path: string): readonly string[] => ['--record-trace', path];
  other = await watch(link);
  recorded = await watch(link, { words: record(recording), settings: { 'swarm.uploadBytesPerSecond': 90_000 } });
  killed = await watch(link, { words: record(killedRecording) });
  const windows = (viewer: ShoalProcess): number => viewer.statuses.at(-1)?.line.channels[0]?.windowsDelivered ?? 0;
  await until('twelve windows at both', () => Math.min(windows(recorded), windows(killed)) >= 12, 20_000);
  // Neighbours go, one with a word and one without; what that brings about is in the trace as well.
  killed.signal('SIGKILL');
  await other.stop();
  const before = windows(recorded);
  await until('it goes on', () => windows(recorded) >= before + 4, 10_000);
  await recorded.stop();
});

test.after(async () => {
  await publisher?.stop();
  await Promise.all([station, recorded, killed, other].map((shoal) => shoal?.stop()));
});

test('a recorded viewer replays in the simulator with the same effects, from its first step to its last', async () => {
  assert.is(recorded.program.exit?.code, 0);
  const replay = await runShoal(['sim', '--replay', recording], { isPlain: true });
  assert.is(replay.program.exit?.code, 0, replay.program.output + replay.program.errors);
  const trace = replayable(recording);
  assert.is(trace.end, 'stopped');
  assert.ok(trace.steps.length > 100, `${trace.steps.length} steps`);
  assert.match(replay.program.output, `equal effects: ${trace.steps.length} steps`);
  const kinds = new Set(trace.steps.map(({ input }) => (input.kind === 'message' ? input.message.kind : input.kind)));
  for (const kind of ['command', 'timer', 'peer-up', 'peer-down', 'hello', 'map', 'manifest', 'piece', 'request', 'info'])
    assert.ok(kinds.has(kind as never), `no ${kind} in the trace`);
});

test('its file is for its owner alone, and holds little beside the media', () => {
  const { size, mode } = statSync(recording);
  assert.is(mode & 0o777, 0o600);
  const messageBytes = recorded.status.downBytes.total;
  assert.ok(size < 1.5 * messageBytes + 200_000, `${size} bytes for ${messageBytes} received`);
});

test('there are no addresses and no private keys in it', () => {
  const text = readFileSync(recording).toString('latin1');
  assert.not.ok(text.includes('127.0.0.1'));
  for (const file of ['keys.json', 'publisher.json']) {
    const secrets = readIfThere(join(station.dataDir, file)).match(/[0-9a-f]{64}/g) ?? [];
    for (const secret of secrets) assert.not.ok(text.includes(Buffer.from(secret, 'hex').toString('latin1')), file);
  }
});

test('the recording of a viewer that was killed replays as far as it goes', () => {
  const trace = replayable(killedRecording);
  assert.is(trace.end, undefined);
  assert.ok(trace.steps.length > 50, `${trace.steps.length} steps`);
  const { equalSteps, difference } = replayLive(trace, PORTS);
  assert.is(difference, undefined);
  assert.is(equalSteps, trace.steps.length);
});

test('one bit of a piece that is not as it came is noticed, with the step, the input and both effects', async () => {
  const bytes = readFileSync(recording);
  const trace = replayable(recording);
  const step = trace.steps.findIndex(({ input }) => input.kind === 'message' && input.message.kind === 'piece');
  const input = trace.steps[step]?.input;
  if (input?.kind !== 'message' || input.message.kind !== 'piece') throw new Error('no piece');
  const at = bytes.indexOf(input.message.payload);
  bytes.writeUInt8(bytes.readUInt8(at + 100) ^ 1, at + 100);
  const altered = join(folder, 'altered.trace');
  writeFileSync(altered, bytes);
  const replay = await runShoal(['sim', '--replay', altered], { isPlain: true });
  assert.is(replay.program.exit?.code, 1);
  const difference = /Step (\d+), .* is the first whose effects differ/.exec(replay.program.output);
  assert.ok(Number(difference?.[1]) > step, replay.program.output);
  assert.match(replay.program.output, /input {5}/);
  assert.match(replay.program.output, /recorded {2}/);
  assert.match(replay.program.output, /replayed {2}/);
});

test('a core with another parameter is noticed', () => {
  const trace = replayable(recording);
  const { difference } = replayLive(trace, {
    ...PORTS,
    makeCore: (options) => new LiveExchange({ ...options, parameters: { ...options.parameters, tickMs: options.parameters.tickMs + 1 } }),
  });
  assert.is(difference?.step, 1);
  assert.match(difference?.recorded.join() ?? '', 'schedule tick');
});

test('what is no trace is refused with words, and a file that is there is not overwritten', async () => {
  const stray = join(folder, 'stray.trace');
  writeFileSync(stray, 'not a trace at all');
  const replay = await runShoal(['sim', '--replay', stray], { isPlain: true });
  assert.is(replay.program.exit?.code, 1);
  assert.match(replay.program.errors, /stray\.trace: it does not begin as a trace does/);
  const again = await runShoal(['watch', station.channel.link, '--record-trace', recording]);
  assert.is(again.program.exit?.code, 1);
  assert.match(again.program.errors, /there is such a file already/);
});

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

test.run();
