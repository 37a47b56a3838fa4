/** The test card in the players people use, over every address, at a station and at a viewer. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FlvRecorder } from '../support/flv-recorder.js';
import { type Played, playWithFfmpeg, playWithFfplay, playWithMpv, playWithVlc, probe } from '../support/players.js';
import { type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const PLAY_SECONDS = 6;
/** VLC may lose what its decoders still hold at the end. */
const PLAYED_SECONDS_MIN = 5;
const MEASURE_MS = 5_000;

let station: ShoalProcess;
let viewer: ShoalProcess;

const PLACES = [
  ['station', () => station],
  ['viewer', () => viewer],
] as const;

test.before(async () => {
  station = await startStation();
  viewer = await watch(station.channel.link);
  await viewer.whenStatus('the viewer plays', ({ windowsDelivered }) => windowsDelivered > 8);
});

test.after(async () => {
  await Promise.all([viewer?.stop(), station?.stop()]);
});

function addresses(shoal: ShoalProcess): { readonly [kind: string]: string } {
  const { flv, rtmp, hls } = shoal.channel.watch;
  return { 'HTTP-FLV': flv, RTMP: rtmp ?? '', HLS: hls };
}

/** Bytes of media that the viewer takes from the swarm, per second, over the next seconds. */
async function swarmBytesPerSecond(): Promise<number> {
  const before = viewer.statuses.at(-1);
  const enough = (): boolean => (viewer.statuses.at(-1)?.atMs ?? 0) - (before?.atMs ?? 0) >= MEASURE_MS;
  await until('some seconds of figures', enough, MEASURE_MS + 5000);
  const after = viewer.statuses.at(-1);
  const bytes = (after?.line.downBytes?.media ?? 0) - (before?.line.downBytes?.media ?? 0);
  return (bytes * 1000) / ((after?.atMs ?? 0) - (before?.atMs ?? 0));
}

/** Every player on every address at once; what was wrong with each. */
async function playEverything(shoal: ShoalProcess): Promise<string[]> {
  const runs: [string, Promise<Played>][] = Object.entries(addresses(shoal)).flatMap(([kind, url]) => [
    [`ffmpeg over ${kind}`, playWithFfmpeg(url, PLAY_SECONDS)],
    [`mpv over ${kind}`, playWithMpv(url, PLAY_SECONDS)],
    [`VLC over ${kind}`, playWithVlc(url, PLAY_SECONDS)],
    [`ffplay over ${kind}`, playWithFfplay(url, PLAY_SECONDS)],
  ]);
  const faults: string[] = [];
  for (const [name, run] of runs) {
    const { seconds, complaints } = await run;
    if (!(seconds >= PLAYED_SECONDS_MIN)) faults.push(`${name}: ${seconds} s decoded; ${complaints.slice(-500)}`);
    else if (complaints !== '') faults.push(`${name}: ${complaints.slice(0, 500)}`);
  }
  return faults;
}

for (const [place, shoal] of PLACES) {
  test(`ffprobe sees picture and sound over every address of a ${place}`, async () => {
    for (const [kind, url] of Object.entries(addresses(shoal()))) assert.equal(await probe(url), ['aac 44100', 'h264 640x360'], kind);
  });

  test(`WS-FLV of a ${place} is the same stream, from a key frame on`, async () => {
    const { wsFlv, flv } = shoal().channel.watch;
    const [socket, http] = [new FlvRecorder(wsFlv), new FlvRecorder(flv)];
    await Promise.all([socket.whenFrames(300), http.whenFrames(300)]);
    socket.stop();
    http.stop();
    assert.ok(socket.frames[0]?.key);
    const from = http.frames.findIndex(({ hash }) => hash === socket.frames[0]?.hash);
    assert.ok(from >= 0);
    const common = Math.min(http.frames.length - from, socket.frames.length);
    assert.ok(common > 100, `${common} frames in common`);
    assert.equal(
      socket.frames.slice(0, common).map(({ hash }) => hash),
      http.frames.slice(from, from + common).map(({ hash }) => hash),
    );
  });
}

test('ffmpeg, ffplay, mpv and VLC decode every address of a station at once', async () => {
  assert.equal(await playEverything(station), []);
});

test('they do so at a viewer, which takes the channel from the swarm once for all of them', async () => {
  const alone = await swarmBytesPerSecond();
  const faults = playEverything(viewer);
  const crowded = await swarmBytesPerSecond();
  const players = Math.max(...viewer.statuses.map(({ line }) => line.players ?? 0));
  assert.equal(await faults, []);
  assert.ok(players >= 8, `${players} players were counted`);
  assert.ok(crowded < alone * 1.25, `${Math.round(crowded)} bytes a second with players, ${Math.round(alone)} without`);
  assert.is(station.status.peers, 1);
  assert.is(viewer.status.holes, 0);
});

test.run();
