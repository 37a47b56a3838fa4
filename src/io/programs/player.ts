/**
 * Opens a desktop player on one of our local addresses.
 *
 * For a live channel the player lives by itself: it does not end with this process, and its end does not end ours. For a title it is waited for, and
 * ends with us: without this process there is nothing to play.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { ShoalError } from '../../kernel/errors.js';
import { findProgram, installHint } from './program.js';

export type PlayerName = 'mpv' | 'vlc' | 'ffplay';

/** Options that keep each player close to live; none of them changes what is shown. */
const LIVE_WORDS: Readonly<Record<PlayerName, readonly string[]>> = {
  mpv: ['--cache-secs=1', '--force-seekable=no', '--really-quiet'],
  vlc: ['--network-caching=1000', '--quiet'],
  ffplay: ['-fflags', 'nobuffer', '-loglevel', 'error'],
};
const PACKAGES: Readonly<Record<PlayerName, string>> = { mpv: 'mpv', vlc: 'vlc', ffplay: 'ffmpeg' };

/** What a player shows of a title. */
export interface TitleShow {
  /** Of a file, or of a playlist. */
  readonly url: string;
  /** For the window. */
  readonly name: string;
  /** Addresses of subtitles that lie beside the file. */
  readonly subtitles: readonly string[];
}

/** A player that is waited for. */
export interface RunningPlayer {
  /** Resolves with the exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
}

/**
 * Starts the player and returns at once.
 *
 * @param url an address of ours; it begins with a scheme, so no player takes it for an option.
 * @throws ShoalError `PLAYER_MISSING`, with the command that installs it.
 */
export function launchPlayer(player: PlayerName, url: string): void {
  const path = findPlayer(player, url);
  const child = spawn(path, [...LIVE_WORDS[player], url], { detached: true, stdio: 'ignore' });
  // A program that vanished since it was looked for: the address is printed anyway.
  child.on('error', () => undefined);
  child.unref();
}

/**
 * Starts the player on a title. It ends with the signal, and with this process at the latest.
 *
 * @throws ShoalError `PLAYER_MISSING`, with the command that installs it.
 */
export function playInPlayer(player: PlayerName, show: TitleShow, signal: AbortSignal): RunningPlayer {
  const path = findPlayer(player, show.url);
  const child = spawn(path, [...titleWords(player, show), show.url], { stdio: 'ignore' });
  const stop = (): void => void child.kill();
  process.once('exit', stop);
  signal.addEventListener('abort', stop, { once: true });
  return { ended: endOf(child).finally(() => process.off('exit', stop)) };
}

/**
 * Where the player is.
 *
 * @param url what to open by hand instead; undefined when that is not known yet.
 * @throws ShoalError `PLAYER_MISSING`, with the command that installs it.
 */
export function findPlayer(player: PlayerName, url?: string): string {
  const path = findProgram(player);
  if (path === undefined) {
    const hint = installHint(PACKAGES[player], player === 'ffplay' ? { dnf: 'ffmpeg-free' } : {});
    const instead = url === undefined ? 'leave out --player and open the address in any other player' : `open ${url} in any other player`;
    throw new ShoalError('PLAYER_MISSING', `${player} is not installed. Run: ${hint} - or ${instead}`, { player, hint });
  }
  if (player === 'vlc' && process.getuid?.() === 0) {
    const instead = url === undefined ? 'Run this as another user, or leave out --player.' : `As another user, run: vlc ${url}`;
    throw new ShoalError('PLAYER_MISSING', `VLC refuses to run as root. ${instead}`, { player });
  }
  return path;
}

/** Names come from strangers: each stands behind its option, in the same word. */
function titleWords(player: PlayerName, { name, subtitles }: TitleShow): readonly string[] {
  if (player === 'mpv') return ['--really-quiet', `--force-media-title=${name}`, ...subtitles.map((url) => `--sub-file=${url}`)];
  if (player === 'ffplay') return ['-loglevel', 'error', '-autoexit', '-window_title', name];
  const slaves = subtitles.length === 0 ? [] : [`--input-slave=${subtitles.join('#')}`];
  return ['--quiet', '--play-and-exit', `--meta-title=${name}`, ...slaves];
}

function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
}
