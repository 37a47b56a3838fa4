/**
 * The life of a pulled source, seen from the players: it is killed and comes back, or is one that a station must refuse.
 *
 * What players do at a viewer whose channel's source dies and is started again, with a new header and a new numbering:
 *
 * | player  | protocol             | while the source is away | when it is back                                                 |
 * |---------|----------------------|--------------------------|-----------------------------------------------------------------|
 * | ffmpeg  | mmsh                 | stays connected          | ends by itself, exit code 0                                     |
 * | ffmpeg  | mmst                 | stays connected          | is sent away, does not notice, and loops until it is killed     |
 * | mpv     | mmsh, mms (= mmsh)   | stays connected          | ends by itself, exit code 0                                     |
 * | mpv     | mmst                 | stays connected          | as ffmpeg, whose reader it uses                                 |
 * | mplayer | mmsh, mmst, mms      | stays connected          | ends by itself, exit code 0                                     |
 * | VLC     | mmsh, mmst, mms      | stays connected          | ends by itself, exit code 0                                     |
 *
 * No open player survives a change of header, so every one is sent away in its protocol's own manner; any that connects again plays.
 */
import { chmodSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ASF_GUID } from '../../src/media/asf-guid.js';
import { encodeMmshHeader } from '../../src/media/mmsh-chunk.js';
import { asfHeader, audioStream, fileProperties, simpleHeader, streamProperties } from '../support/asf-writer.js';
import { ScriptedServer } from '../support/mmst-server.js';
import { playLiveWithVlc, playWithFfmpeg, playWithMplayer, playWithMpv } from '../support/players.js';
import { Program, temporaryFolder } from '../support/program.js';
import { type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';
import { VlcSource } from '../support/vlc-source.js';
import { WindowCollector } from '../support/window-collector.js';

type Scheme = 'mmsh' | 'mmst' | 'mms';

/** VLC refuses to run as root. */
const NOBODY_ID = 65_534;
/** Time that players get to show whether they stay. */
const AWAY_MS = 4_000;
/** They first play what they have buffered. */
const ENDING_MS = 20_000;
const SHORT_SECONDS = 3;
const SILENT = ['-noconfig', 'all', '-nolirc', '-nocache', '-noconsolecontrols', '-vo', 'null', '-ao', 'null'];

/** `URL` stands for the address. ffmpeg knows no `mms:`. */
const PLAYERS: readonly [string, readonly string[], readonly Scheme[]][] = [
  ['ffmpeg', ['-v', 'error', '-nostdin', '-i', 'URL', '-f', 'null', '-'], ['mmsh', 'mmst']],
  ['mpv', ['--no-config', '--vo=null', '--ao=null', 'URL'], ['mmsh', 'mmst', 'mms']],
  ['mplayer', [...SILENT, 'URL'], ['mmsh', 'mmst', 'mms']],
  ['cvlc', ['-I', 'dummy', '--sout', '#std{access=file,mux=ts,dst=/dev/null}', 'URL', 'vlc://quit'], ['mmsh', 'mmst', 'mms']],
];
/** ffmpeg's MMST reader takes the end for a fault and asks again, for ever; nothing that a server can send stops it. */
const LOOP_FOR_EVER = ['ffmpeg over mmst', 'mpv over mmst'];

let vlc: VlcSource;
let station: ShoalProcess;
let viewer: ShoalProcess;
let collector: WindowCollector;
let lastBefore = 0;
const players = new Map<string, Program>();

test.before(async () => {
  vlc = await VlcSource.start();
  station = await startStation({ settings: pulling(vlc.url) });
  viewer = await watch(station.channel.link);
  collector = await WindowCollector.join(station.channel.link);
  await viewer.whenStatus('the viewer plays', ({ windowsDelivered }) => windowsDelivered > 4, 30_000);
  startPlayers();
  await viewer.whenStatus('every player plays', ({ players: count }) => count >= players.size, 20_000);
});

test.after(async () => {
  await collector?.stop();
  await Promise.all([...[...players.values()].map((player) => player.stop()), viewer?.stop(), station?.stop(), vlc?.stop()]);
});

function pulling(source: string): Record<string, string | boolean> {
  return { 'station.testCard': false, 'station.channels': JSON.stringify([{ name: 'Old WMV', source }]) };
}

function address(scheme: Scheme): string {
  return viewer.channel.watch.mms.replace(/^mms:/, `${scheme}:`);
}

function startPlayers(): void {
  const home = temporaryFolder('vlc-home');
  chmodSync(home, 0o777);
  for (const [command, words, schemes] of PLAYERS) {
    const user = command === 'cvlc' && process.getuid?.() === 0 ? { userId: NOBODY_ID } : {};
    for (const scheme of schemes) {
      const filled = words.map((word) => (word === 'URL' ? address(scheme) : word));
      players.set(`${command} over ${scheme}`, new Program(command, filled, { ...user, env: { ...process.env, HOME: home } }));
    }
  }
}

/** Those that still run. */
function running(): string[] {
  return [...players].filter(([, { exit }]) => exit === undefined).map(([name]) => name);
}

test('players stay connected while the source is away', async () => {
  lastBefore = Math.max(...collector.windows.map(({ number }) => number));
  await vlc.kill();
  await station.whenLogged(/the source is lost/);
  const lostMs = performance.now();
  await until('some seconds have passed', () => performance.now() - lostMs > AWAY_MS, AWAY_MS + 1_000);
  assert.equal(running(), [...players.keys()]);
  assert.is(viewer.status.players, players.size);
});

test('when it is back with another header, every player is sent away, and ends by itself if it can', async () => {
  vlc = await VlcSource.start({ port: vlc.port });
  await until('players end', () => running().length <= LOOP_FOR_EVER.length, ENDING_MS + 10_000).catch(() => undefined);
  assert.equal(running(), LOOP_FOR_EVER);
  const ended = [...players].filter(([, { exit }]) => exit !== undefined);
  assert.equal(
    ended.filter(([, { exit }]) => exit?.code !== 0).map(([name]) => name),
    [],
  );
  await viewer.whenStatus('nobody is left at the viewer', ({ players: count }) => count === 0);
  for (const name of LOOP_FOR_EVER) players.get(name)?.signal('SIGKILL');
});

test('the channel goes on above the old numbers, after one break and without a hole', async () => {
  await until('new windows come', () => collector.windows.some(({ number }) => number > lastBefore + 4), 20_000);
  const { windows } = collector;
  const backward = windows.filter(({ number }, index) => number <= (windows[index - 1]?.number ?? -1));
  assert.equal(backward, []);
  const breaks = windows.slice(1).filter(({ discontinuity }) => discontinuity);
  assert.is(breaks.length, 1);
  assert.is(breaks[0]?.previous, null);
  assert.is(collector.skips, 0);
  assert.is(viewer.status.holes, 0);
});

test('players that connect again play, at the viewer that was never restarted', async () => {
  assert.is(viewer.program.exit, undefined);
  const runs = await Promise.all([
    playWithFfmpeg(address('mmsh'), SHORT_SECONDS),
    playWithFfmpeg(address('mmst'), SHORT_SECONDS),
    playWithMpv(address('mms'), SHORT_SECONDS),
    playWithMplayer(address('mmst'), SHORT_SECONDS),
    playLiveWithVlc(address('mmsh'), SHORT_SECONDS),
  ]);
  for (const { seconds, complaints } of runs) assert.ok(seconds >= SHORT_SECONDS - 0.5, `${seconds} s: ${complaints}`);
});

/** What the log of a station says that pulls from a server with this header. */
async function refusalOf(header: Uint8Array, features: string): Promise<string> {
  const server = await ScriptedServer.start((socket) => {
    socket.end(Buffer.concat([Buffer.from(`HTTP/1.0 200 OK\r\nPragma: features="${features}"\r\n\r\n`), encodeMmshHeader(header)]));
  });
  const refusing = await startStation({ settings: pulling(`mmsh://127.0.0.1:${server.port}/film.wmv`) });
  await refusing.whenLogged(/is not tried again/);
  const { connectionCount } = server;
  await refusing.whenStatus('it goes on', () => refusing.statuses.length > 3);
  assert.is(server.connectionCount, connectionCount);
  await Promise.all([refusing.stop(), server.stop()]);
  const line = refusing.program.errors.split('\n').find((text) => text.includes('is not tried again')) ?? '{}';
  const { level, msg } = JSON.parse(line) as { level: string; msg: string };
  return `${level}: ${msg}`;
}

test('a file on demand, offered as if it were live, is refused in words', async () => {
  const message = await refusalOf(simpleHeader({ broadcast: false }), 'seekable,stridable');
  assert.is(
    message,
    'error: the source cannot be used, and is not tried again: the server offers a file on demand, not a broadcast; only live sources can be published',
  );
});

test('a source with DRM is refused in words', async () => {
  const protectedStream = streamProperties(1, ASF_GUID.audioStream, new Uint8Array(0), 0, true);
  const message = await refusalOf(asfHeader([fileProperties(), protectedStream, audioStream(2)]), 'broadcast');
  assert.is(message, 'error: the source cannot be used, and is not tried again: it is protected by DRM, so nobody could play it');
});

test.run();
