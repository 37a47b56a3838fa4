/**
 * The station's own identity as a publisher: a seed in `publisher.json`, mode 0600, in the data folder.
 *
 * Unlike the owner's seed it is nobody else's: stations that share one `keys.json` still have one of these each, so that each can be told
 * apart and withdrawn alone. Losing it costs little: a new one is delegated again.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { writeFileAtomically } from './atomic-file.js';
import { checkFileMode, checkFolderMode } from './file-mode.js';

const FILE_NAME = 'publisher.json';
const SEED_BYTES: Bytes = 32;

/**
 * The seed, 32 bytes; made on first use.
 *
 * @throws ShoalError `KEYS_MODE`, `KEYS_UNREADABLE`; a file that is not understood is not overwritten.
 */
export function publisherSeed(dataDir: string, generateSeed: () => Uint8Array): Uint8Array {
  const path = join(dataDir, FILE_NAME);
  if (!existsSync(path)) {
    writeFileAtomically(path, `${JSON.stringify({ version: 1, seed: Buffer.from(generateSeed()).toString('base64url') })}\n`);
  }
  checkFileMode(path);
  checkFolderMode(path);
  const seed = seedIn(readFileSync(path, 'utf8'));
  if (seed) return seed;
  throw new ShoalError(
    'KEYS_UNREADABLE',
    `${path}: not a publisher file of this program. Put a copy back, or move it away: this station then has a new publisher key, ` +
      'which the owner of a channel has to delegate anew',
    { path },
  );
}

function seedIn(text: string): Uint8Array | undefined {
  try {
    const { version, seed } = JSON.parse(text) as { version?: unknown; seed?: unknown };
    const bytes = new Uint8Array(Buffer.from(String(seed), 'base64url'));
    return version === 1 && bytes.length === SEED_BYTES ? bytes : undefined;
  } catch {
    return undefined;
  }
}
