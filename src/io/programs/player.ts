/**
 * Opens a desktop player on one of our local addresses.
 *
 * The player lives by itself: it does not end with this process, and its end does not end ours.
 */
import { spawn } from 'node:child_process';
import { ShoalError } from '../../kernel/errors.js';
import { findProgram, installHint } from './program.js';

export type PlayerName = 'mpv' | 'vlc' | 'ffplay';

/** Options that keep each player close to live; none of them changes what is shown. */
const ARGUMENTS: Readonly<Record<PlayerName, readonly string[]>> = {
  mpv: ['--cache-secs=1', '--force-seekable=no', '--really-quiet'],
  vlc: ['--network-caching=1000', '--quiet'],
  ffplay: ['-fflags', 'nobuffer', '-loglevel', 'error'],
};
const PACKAGES: Readonly<Record<PlayerName, string>> = { mpv: 'mpv', vlc: 'vlc', ffplay: 'ffmpeg' };

/**
 * Starts the player and returns at once.
 *
 * @param url an address of ours; it begins with a scheme, so no player takes it for an option.
 * @throws ShoalError `PLAYER_MISSING`, with the command that installs it.
 */
export function launchPlayer(player: PlayerName, url: string): void {
  const path = findProgram(player);
  if (path === undefined) {
    const hint = installHint(PACKAGES[player], player === 'ffplay' ? { dnf: 'ffmpeg-free' } : {});
    throw new ShoalError('PLAYER_MISSING', `${player} is not installed. Run: ${hint} - or open ${url} in any other player`, {
      player,
      hint,
    });
  }
  if (player === 'vlc' && process.getuid?.() === 0) {
    throw new ShoalError('PLAYER_MISSING', `VLC refuses to run as root. As another user, run: vlc ${url}`, { player });
  }
  const child = spawn(path, [...ARGUMENTS[player], url], { detached: true, stdio: 'ignore' });
  // A program that vanished since it was looked for: the address is printed anyway.
  child.on('error', () => undefined);
  child.unref();
}
