/** One player on one film: a publisher that gives no faster than told, a program that plays, a check of every byte between them. */
import { Rng } from '../../src/kernel/rng.js';
import { CheckingProxy } from '../../test/support/checking-proxy.js';
import { type PlayingTitle, playTitle, publishTitle } from '../../test/support/playing-title.js';
import type { SeekingPlayer } from '../../test/support/seeking-players.js';
import type { Film } from '../../test/support/title-fixture.js';

export interface PlayerFigures {
  /** From the player's start to its first picture. */
  readonly startMs: number;
  /** From each seek to its first picture. */
  readonly seekMs: readonly number[];
  readonly requests: number;
  readonly equalBytes: number;
  readonly otherBytes: number;
  /** Share of the title that had come when the player was done, 0 to 1. */
  readonly haveRatio: number;
}

export interface PlayerRunOptions extends Omit<TogetherOptions, 'players'> {
  readonly player: SeekingPlayer;
}

export interface TogetherOptions {
  readonly players: readonly SeekingPlayer[];
  readonly film: Film;
  readonly seeks: number;
  /** Played after the start and after every seek. */
  readonly playS: number;
  readonly rateRatio: number;
  readonly seed: number;
}

/** Not so near the end that nothing could be played on. */
const END_S = 20;
/** Two seeks to one place would show nothing. */
const APART_S = 8;

/** Each player on its own, with nothing downloaded before it. */
export async function runPlayer({ player, ...options }: PlayerRunOptions): Promise<PlayerFigures> {
  const [figures] = await runTogether({ ...options, players: [player] });
  return figures as PlayerFigures;
}

/** Several players on one title at the same time, each with places of its own. The line has `rateRatio` times the bit rate in all. */
export async function runTogether(options: TogetherOptions): Promise<readonly PlayerFigures[]> {
  const { players, film, rateRatio } = options;
  const publisher = await publishTitle(film.path, (rateRatio * film.lengthBytes) / film.seconds);
  try {
    const title = await playTitle(publisher.link);
    try {
      return await Promise.all(players.map((player, index) => runOne(player, title, options, options.seed + index)));
    } finally {
      await title.stop();
    }
  } finally {
    await publisher.stop();
  }
}

async function runOne(player: SeekingPlayer, title: PlayingTitle, options: TogetherOptions, seed: number): Promise<PlayerFigures> {
  const { film, seeks, playS } = options;
  const proxy = await CheckingProxy.start(title.files[0] as string, film.path);
  try {
    const [start, ...jumps] = await player.run(proxy, randomPlaces(seeks, film.seconds - END_S, seed), playS);
    const { equalBytes, otherBytes, answers } = proxy;
    const seekMs = jumps.map(({ pictureMs }) => pictureMs);
    const startMs = start?.pictureMs ?? Number.NaN;
    return { startMs, seekMs, requests: answers.length, equalBytes, otherBytes, haveRatio: title.view?.progress ?? 0 };
  } finally {
    await proxy.stop();
  }
}

/** Whole seconds, each some way from the one before. */
function randomPlaces(count: number, belowS: number, seed: number): readonly number[] {
  const rng = new Rng(seed);
  const places: number[] = [];
  while (places.length < count) {
    const placeS = APART_S + rng.below(belowS - APART_S);
    if (Math.abs(placeS - (places.at(-1) ?? 0)) >= APART_S) places.push(placeS);
  }
  return places;
}
