/**
 * Files of titles lent to programs that this process starts: ffmpeg and ffprobe read them over HTTP, at an address that nobody can guess and
 * that ends when the program does.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { HttpServer, WebRequest } from '../../io/web/http-server.js';
import { answerRanged, type ByteReading, sayInWords } from '../../io/web/ranged-response.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes } from '../../kernel/units.js';

/** What is read. */
export interface LendableFile {
  readonly lengthBytes: Bytes;
  open(fromByte: Bytes, toByte: Bytes): ByteReading;
}

export interface LentFile {
  readonly url: string;
  /** The address is good for nothing afterwards; who reads at that moment may finish. */
  end(): void;
}

export class LentFiles {
  readonly #server: HttpServer;
  readonly #log: Log;
  readonly #files = new Map<string, LendableFile>();

  /** Mounts `/vod-input`. Once for a server. */
  constructor(server: HttpServer, log: Log) {
    this.#server = server;
    this.#log = log;
    server.stream('/vod-input/:id', (request, response) => this.#serve(request, response));
  }

  lend(file: LendableFile): LentFile {
    const id = randomBytes(18).toString('base64url');
    this.#files.set(id, file);
    return { url: `${this.#server.url}vod-input/${id}`, end: () => void this.#files.delete(id) };
  }

  #serve(request: WebRequest, response: ServerResponse): void {
    const file = this.#files.get(request.parameters['id'] ?? '');
    if (file === undefined || !['GET', 'HEAD'].includes(request.method))
      return sayInWords(request, response, 404, 'There is nothing at this address.');
    void answerRanged(request, response, {
      entityTag: '"input"',
      lengthBytes: file.lengthBytes,
      contentType: 'application/octet-stream',
      headers: { 'Cross-Origin-Resource-Policy': 'same-origin' },
      log: this.#log,
      open: (fromByte, toByte) => file.open(fromByte, toByte),
    });
  }
}
