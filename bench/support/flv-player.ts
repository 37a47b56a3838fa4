/**
 * An HTTP-FLV player that decodes nothing: it takes tags apart and says when each came.
 */
import { get } from 'node:http';
import { Malformed } from '../../src/kernel/errors.js';
import { FlvParser, type FlvTag } from '../../src/media/flv.js';

export type OnTag = (tag: FlvTag, arrivedMs: number) => void;

export class FlvPlayer {
  readonly #abort = new AbortController();
  readonly #parser = new FlvParser();
  readonly #onTag: OnTag;
  /** Why the stream ended, once it has. */
  ended: string | undefined;
  mediaBytes = 0;

  private constructor(onTag: OnTag) {
    this.#onTag = onTag;
  }

  /** Opens `url` and calls `onTag` for every tag from the file header on. Resolves at the response's first bytes. */
  static open(url: string, onTag: OnTag): Promise<FlvPlayer> {
    const player = new FlvPlayer(onTag);
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: false, signal: player.#abort.signal }, (response) => {
        if (response.statusCode !== 200) return reject(new Error(`${url} answered ${response.statusCode}`));
        response.on('data', (bytes: Buffer) => {
          player.#take(bytes);
          resolve(player);
        });
        response.on('error', (error) => player.#end(error.message));
        response.on('end', () => player.#end('the server ended the stream'));
      });
      request.on('error', (error) => {
        player.#end(error.message);
        reject(error);
      });
    });
  }

  close(): void {
    this.#abort.abort();
  }

  #take(bytes: Buffer): void {
    const arrivedMs = performance.now();
    const tags = this.#parser.push(bytes);
    if (tags instanceof Malformed) {
      this.#end(tags.reason);
      return this.close();
    }
    for (const tag of tags) {
      this.mediaBytes += tag.body.length + 15;
      this.#onTag(tag, arrivedMs);
    }
  }

  #end(reason: string): void {
    this.ended ??= reason;
  }
}
