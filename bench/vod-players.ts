/**
 * Real players on a film that downloads at one and a half times its bit rate: time to the first picture at the start and after random seeks.
 *
 * `npm run bench vod-players [seeks] [player …] [film …]`: 20 seeks with mpv, VLC, ffprobe and Chromium on an MP4 with its index behind the media, one with
 * it in front (faststart), and an MKV, each ten minutes long. Every player begins with nothing downloaded. The run fails when a place does not play or a
 * byte differs from the file. `together`: all players on one title at the same time instead, on a line of four times the bit rate.
 */
import { argv } from 'node:process';
import { SEEKING_PLAYERS, type SeekingPlayer } from '../test/support/seeking-players.js';
import { type FilmKind, film } from '../test/support/title-fixture.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, percentile, show, showPercent } from './support/figures.js';
import { type PlayerFigures, runPlayer, runTogether } from './support/player-run.js';

const SEEKS = 20;
const PLAY_S = 2;
const RATE_RATIO = 1.5;
/** For four players at once: the same for each as a player of its own needs, and no more. */
const TOGETHER_RATE_RATIO = 4;
const FILMS: readonly FilmKind[] = ['mp4', 'faststart', 'mkv'];
const LIMIT_MS = 3_600_000;
const HEAD: Row = [
  'player',
  'film',
  'start s',
  'seek p50 s',
  'p95',
  'max',
  'seeks played',
  'requests',
  'bytes equal',
  'other',
  'here at the end',
];

interface Result {
  readonly player: string;
  readonly film: FilmKind;
  readonly figures: PlayerFigures;
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const [seeks = SEEKS] = words.filter((word) => /^\d+$/.test(word)).map(Number);
const players = chosen(SEEKING_PLAYERS, ({ name }) => name);
const films = chosen(FILMS, (kind) => kind);

await BenchRun.run('vod-players', LIMIT_MS, async (run) => {
  const isTogether = words.includes('together');
  const rateRatio = isTogether ? TOGETHER_RATE_RATIO : RATE_RATIO;
  const results: Result[] = [];
  for (const kind of films) {
    const common = { film: film(kind), seeks, playS: PLAY_S, rateRatio, seed: 1 };
    if (isTogether) {
      const all = await runTogether({ ...common, players });
      for (const [index, figures] of all.entries())
        note(run, results, { player: (players[index] as SeekingPlayer).name, film: kind, figures });
    } else {
      for (const [index, player] of players.entries())
        note(run, results, { player: player.name, film: kind, figures: await runPlayer({ ...common, player, seed: index + 1 }) });
    }
  }
  const how = isTogether ? 'all players at once' : 'each player alone';
  run.table(`${seeks} random seeks each, ${how}, download at ${rateRatio} times the bit rate`, HEAD, results.map(rowOf));
  return { seeks, rateRatio, results };
});

function note(run: BenchRun, results: Result[], result: Result): void {
  const { player, film: kind, figures } = result;
  results.push(result);
  run.progress(`${player}, ${kind}: ${figures.seekMs.map((ms) => show(ms)).join(', ')} ms`);
  if (figures.otherBytes > 0) throw new Error(`${player} got ${figures.otherBytes} bytes of the ${kind} that are not the file's`);
}

/** Those that the command line names, or all. */
function chosen<Item>(all: readonly Item[], nameOf: (item: Item) => string): readonly Item[] {
  const named = all.filter((item) => words.includes(nameOf(item)));
  return named.length > 0 ? named : all;
}

function rowOf({ player, film: kind, figures }: Result): Row {
  const { startMs, seekMs, requests, equalBytes, otherBytes, haveRatio } = figures;
  const seconds = [startMs, median(seekMs), percentile(seekMs, 0.95), Math.max(...seekMs)].map((ms) => show(ms / 1000, 2));
  return [player, kind, ...seconds, `${seekMs.length}`, `${requests}`, `${equalBytes}`, `${otherBytes}`, showPercent(haveRatio, 0)];
}
