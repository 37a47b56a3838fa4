/** Titles in real Shoal processes: one that publishes a file, others that get it, each told of no more ways to peers than the test names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { TitleView } from '../../src/plugins/titles/title-view.js';
import { temporaryFolder } from './program.js';
import { ShoalProcess, type ShoalProcessOptions } from './shoal-process.js';
import { writeRandomFile } from './title-fixture.js';
import { until } from './until.js';

type Settings = ShoalProcessOptions['settings'];

export const TITLE_NAME = 'title.bin';
/** No tracker but what a test sets. */
const ALONE = { 'tracker.enabled': false };
const PATIENCE_MS = 30_000;

/** A file of random bytes in a folder of its own. */
export function writeTitle(lengthBytes: number, seed: number): string {
  const path = join(temporaryFolder('title'), TITLE_NAME);
  writeRandomFile(path, lengthBytes, seed);
  return path;
}

/** The only title of a process, as its newest line has it. */
export function titleOf(shoal: ShoalProcess): TitleView {
  const [title] = shoal.statuses.at(-1)?.line.titles ?? shoal.ready.titles ?? [];
  if (title === undefined) throw new Error('no title yet');
  return title;
}

/** Resolves when the title is given and its torrent written. `words` come before the path. */
export async function publishTitle(path: string, settings: Settings = {}, words: readonly string[] = []): Promise<ShoalProcess> {
  const shoal = await new ShoalProcess(['publish', ...words, path, '--json'], { settings: { ...ALONE, ...settings } }).whenReady();
  await until('it is published', () => shoal.lines.some((line) => line.startsWith('{"event":"published"')));
  return shoal;
}

export interface Getting {
  readonly shoal: ShoalProcess;
  readonly folder: string;
}

/** Begins to get a title and goes on giving it. Resolves when the process is ready. */
export async function getTitle(source: string, settings: Settings = {}): Promise<Getting> {
  const folder = temporaryFolder('got');
  const words = ['get', source, '--folder', folder, '--seed', '--json'];
  const shoal = await new ShoalProcess(words, { settings: { ...ALONE, ...settings } }).whenReady();
  return { shoal, folder };
}

/** Waits for a state of the only title. */
export async function whenTitle(
  shoal: ShoalProcess,
  what: string,
  holds: (title: TitleView) => boolean,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  await until(what, () => shoal.statuses.length > 0 && holds(titleOf(shoal)), timeoutMs).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(titleOf(shoal))}; ${shoal.program.errors.slice(-3000)}`);
  });
}

/** Waits for the whole title, and compares it with the published file. */
export async function assertGot({ shoal, folder }: Getting, path: string): Promise<void> {
  await whenTitle(shoal, 'the title is here', ({ state }) => state === 'seeding');
  assert.ok(readFileSync(join(folder, TITLE_NAME)).equals(readFileSync(path)), 'byte-equal');
}

/** Runs a test with processes that are stopped afterwards, whatever happens. */
export async function withProcesses(
  task: (keep: <Kept extends ShoalProcess | Getting>(started: Promise<Kept>) => Promise<Kept>) => Promise<void>,
): Promise<void> {
  const kept: ShoalProcess[] = [];
  try {
    await task(async (started) => {
      const one = await started;
      kept.push(one instanceof ShoalProcess ? one : one.shoal);
      return one;
    });
  } finally {
    await Promise.all(kept.map((shoal) => shoal.stop()));
  }
}
