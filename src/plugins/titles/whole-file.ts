/**
 * Reads a short part of a title's file into memory, for as long as somebody waits for it.
 */
import type { Bytes } from '../../kernel/units.js';
import type { PlayableFile } from './playable.js';

const CHUNK_BYTES: Bytes = 128 * 1024;

/**
 * Bytes from `fromByte` up to `toByte` or the end of the file.
 *
 * Rejects when they will not come, or with the signal's reason; the reading is closed in every case.
 */
export async function readPart(file: PlayableFile, fromByte: Bytes, toByte: Bytes, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted();
  const endByte = Math.min(toByte, file.lengthBytes);
  const reading = file.open(fromByte, endByte);
  const parts: Uint8Array[] = [];
  const read = async (): Promise<Uint8Array> => {
    for (let leftBytes = endByte - fromByte; leftBytes > 0; ) {
      const bytes = await reading.next(Math.min(leftBytes, CHUNK_BYTES));
      if (bytes === null || bytes.length === 0) throw new Error('the file ended early');
      parts.push(bytes);
      leftBytes -= bytes.length;
    }
    return Buffer.concat(parts);
  };
  try {
    return await new Promise((resolve, reject) => {
      // The reading is closed in this very turn: a need that nobody has would take bandwidth from others.
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      signal.addEventListener('abort', () => reading.close(), { once: true });
      read().then(resolve, reject);
    });
  } finally {
    reading.close();
  }
}
