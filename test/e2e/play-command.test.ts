/** `shoal play` as people use it: players that are there and not, a torrent file, a title of several files, subtitles beside the film. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { H264, makeMediaFile } from '../support/media-file.js';
import { type Publisher, publishTitle } from '../support/playing-title.js';
import { temporaryFolder } from '../support/program.js';
import { ShoalProcess } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const QUIET = { 'titles.dht': false, 'titles.localDiscovery': false };
const ENDS_MS = 40_000;
const SECONDS = 3;

let folder: string;
let publisher: Publisher;

test.before(async () => {
  folder = join(temporaryFolder('series'), 'Series & co');
  mkdirSync(folder, { recursive: true });
  const film = readFileSync(await makeMediaFile({ name: 'film.mp4', seconds: SECONDS, codecs: [...H264, '-c:a', 'aac'] }));
  for (const name of ['E01 première.mp4', 'E02.mp4']) writeFileSync(join(folder, name), film);
  writeFileSync(join(folder, 'E02.en.srt'), '1\n00:00:01,000 --> 00:00:02,000\nHello\n\n');
  writeFileSync(join(folder, 'about.nfo'), 'about');
  publisher = await publishTitle(folder);
});

test.after(() => publisher.stop());

function play(words: readonly string[], env: NodeJS.ProcessEnv = {}): ShoalProcess {
  return new ShoalProcess(['play', publisher.torrentPath, ...words], { settings: QUIET, env });
}

/** A folder for PATH with a player that notes its words, fetches what it is given, and ends with `exitCode`. */
function standIn(name: string, exitCode = 0): { readonly path: string; readonly words: string; readonly fetched: string } {
  const path = temporaryFolder('player');
  const [words, fetched] = [join(path, 'words'), join(path, 'fetched')];
  const script = `#!/bin/sh\nfor word in "$@"; do echo "$word" >> ${words}; last="$word"; done\ncurl -sS -o ${fetched} "$last"\nexit ${exitCode}\n`;
  writeFileSync(join(path, name), script, { mode: 0o755 });
  return { path: `${path}${delimiter}${process.env['PATH']}`, words, fetched };
}

test('mpv plays the whole title, one film after the other, and its end is the end of the command', async () => {
  const config = temporaryFolder('mpv');
  writeFileSync(join(config, 'mpv.conf'), `vo=null\nao=null\nlog-file=${config}/log\n`);
  const shoal = play(['--player', 'mpv'], { MPV_HOME: config });
  const { code } = await shoal.program.whenExited(ENDS_MS);
  assert.is(code, 0, shoal.program.errors);
  const played = [...readFileSync(join(config, 'log'), 'utf8').matchAll(/Playing: \S+\/([^/?]+)\?token=/g)].map((match) => match[1]);
  assert.equal(played, ['E01%20premi%C3%A8re.mp4', 'E02.mp4']);
  assert.match(shoal.program.output, /Play "Series & co": http:\/\/127\.0\.0\.1:\d+\/vod\/[0-9a-f]{40}\.m3u8\?token=/);
  assert.match(shoal.program.output, '1  E01 première.mp4');
  assert.match(shoal.program.output, '4  about.nfo');
});

test('a chosen file goes to the player with its name and its subtitles', async () => {
  const player = standIn('mpv');
  const shoal = play(['--player', 'mpv', '--file', 'e02', '--json'], { PATH: player.path });
  const { code } = await shoal.program.whenExited(ENDS_MS);
  assert.is(code, 0, shoal.program.errors);
  const words = readFileSync(player.words, 'utf8').trim().split('\n');
  assert.ok(words.includes('--force-media-title=E02.mp4'));
  assert.match(
    words.find((word) => word.startsWith('--sub-file=')) ?? '',
    /^--sub-file=http:\/\/127\.0\.0\.1:\d+\/vod\/\S+\/E02\.en\.srt\?token=\S+$/,
  );
  assert.match(words.at(-1) ?? '', /\/E02\.mp4\?token=/);
  assert.is(statSync(player.fetched).size, statSync(join(folder, 'E02.mp4')).size);
  const ended = shoal.lines.map((line) => JSON.parse(line) as { readonly event: string; readonly code?: number });
  assert.equal(ended.find(({ event }) => event === 'player-ended')?.code, 0);
});

test('a player that fails is told of, and the command fails, too', async () => {
  const player = standIn('ffplay', 3);
  const shoal = play(['--player', 'ffplay', '--file', '1'], { PATH: player.path });
  const { code } = await shoal.program.whenExited(ENDS_MS);
  assert.is(code, 1);
  assert.match(shoal.program.errors, 'shoal: ffplay ended with exit code 3.');
});

test('a player that is not installed is told before anything begins, with the command that installs it', async () => {
  const shoal = play(['--player', 'mpv'], { PATH: temporaryFolder('nothing') });
  const { code } = await shoal.program.whenExited(ENDS_MS);
  assert.is(code, 1);
  assert.match(shoal.program.errors, /^shoal: mpv is not installed\. .*leave out --player/);
  assert.not.ok(existsSync(join(shoal.dataDir, 'titles')));
});

test('a file that is not there is told with those that are', async () => {
  const shoal = play(['--player', 'ffplay', '--file', 'E07']);
  const { code } = await shoal.program.whenExited(ENDS_MS);
  assert.is(code, 1);
  assert.match(shoal.program.errors, 'shoal: No file of this title is called "E07". It has:\n  1  E01 première.mp4\n');
});

test('the player ends with the command', async () => {
  const path = temporaryFolder('player');
  const pidPath = join(path, 'pid');
  writeFileSync(join(path, 'mpv'), `#!/bin/sh\necho $$ > ${pidPath}\nexec sleep 600\n`, { mode: 0o755 });
  const shoal = play(['--player', 'mpv'], { PATH: `${path}${delimiter}${process.env['PATH']}` });
  await until('the player runs', () => existsSync(pidPath) && readFileSync(pidPath, 'utf8').endsWith('\n'), ENDS_MS);
  const pid = Number(readFileSync(pidPath, 'utf8'));
  shoal.signal('SIGINT');
  await shoal.program.whenExited(ENDS_MS);
  await until('the player is gone', () => !existsSync(`/proc/${pid}`));
});

test('beside a station the command brings it the title, and ends with the player', async () => {
  const station = new ShoalProcess(['start', '--json'], { settings: { ...QUIET, 'station.testCard': false } });
  await station.whenReady();
  try {
    const player = standIn('mpv');
    const words = ['play', publisher.link, '--player', 'mpv', '--file', '1'];
    const shoal = new ShoalProcess(words, { dataDir: station.dataDir, settings: QUIET, env: { PATH: player.path } });
    const { code } = await shoal.program.whenExited(ENDS_MS);
    assert.is(code, 0, shoal.program.errors);
    assert.is(statSync(player.fetched).size, statSync(join(folder, 'E01 première.mp4')).size);
    assert.is(station.program.exit, undefined);
  } finally {
    await station.stop();
  }
});

test.run();
