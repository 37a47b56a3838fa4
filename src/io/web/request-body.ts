/**
 * Reads the body of a request into memory: never more than its route allows, and never more than a share of memory over all requests.
 *
 * What is too large is not kept; the server's own time limit ends whoever goes on sending.
 */
import type { IncomingMessage } from 'node:http';
import type { Bytes } from '../../kernel/units.js';

/** `too-large` for its route, `too-many` bytes of others are held already, `cut` off by the sender. */
export type BodyFault = 'too-large' | 'too-many' | 'cut';

export class BodyReader {
  readonly #heldBytesMax: Bytes;
  #heldBytes: Bytes = 0;

  /** @param heldBytesMax of all bodies that are being read or worked on at one time. */
  constructor(heldBytesMax: Bytes) {
    this.#heldBytesMax = heldBytesMax;
  }

  get heldBytes(): Bytes {
    return this.#heldBytes;
  }

  /** Hands the whole body to `use`; it counts as held until `use` has settled. */
  async withBody<Result>(
    request: IncomingMessage,
    bytesMax: Bytes,
    use: (body: Uint8Array) => Promise<Result>,
  ): Promise<Result | BodyFault> {
    if (Number(request.headers['content-length'] ?? 0) > bytesMax) return 'too-large';
    const chunks: Buffer[] = [];
    let lengthBytes = 0;
    try {
      const fault = await new Promise<BodyFault | undefined>((resolve) => {
        const take = (chunk: Buffer): void => {
          const reason = this.#refusal(lengthBytes + chunk.length, chunk.length, bytesMax);
          if (reason !== undefined) {
            request.off('data', take);
            resolve(reason);
            return;
          }
          lengthBytes += chunk.length;
          this.#heldBytes += chunk.length;
          chunks.push(chunk);
        };
        request.on('data', take);
        request.once('end', () => resolve(undefined));
        request.once('error', () => resolve('cut'));
        request.once('close', () => resolve('cut'));
      });
      return fault ?? (await use(Buffer.concat(chunks)));
    } finally {
      this.#heldBytes -= lengthBytes;
    }
  }

  #refusal(lengthBytes: Bytes, chunkBytes: Bytes, bytesMax: Bytes): BodyFault | undefined {
    if (lengthBytes > bytesMax) return 'too-large';
    return this.#heldBytes + chunkBytes > this.#heldBytesMax ? 'too-many' : undefined;
  }
}
