/** Files of a folder over HTTP with single ranges: an ordinary web server, as a web seed (BEP 19) is. It counts what it gave. */
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';

export interface RangeFileServer {
  /** Address of the folder, with a slash at the end. */
  readonly url: string;
  readonly givenBytes: number;
  stop(): Promise<void>;
}

export async function serveFolder(folder: string, host = '127.0.0.1'): Promise<RangeFileServer> {
  let givenBytes = 0;
  const server = createServer((request, response) => {
    givenBytes += answer(folder, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}/`,
    get givenBytes() {
      return givenBytes;
    },
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Gives the number of bytes that it sends. */
function answer(folder: string, request: IncomingMessage, response: ServerResponse): number {
  const path = join(folder, normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname)));
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file?.isFile()) {
    response.writeHead(404).end();
    return 0;
  }
  const [, firstText = '0', lastText = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const isPart = request.headers.range !== undefined;
  const first = Number(firstText);
  const last = Math.min(lastText === '' ? file.size - 1 : Number(lastText), file.size - 1);
  if (isPart && first > last) {
    response.writeHead(416, { 'content-range': `bytes */${file.size}` }).end();
    return 0;
  }
  const lengthBytes = last - first + 1;
  response.writeHead(isPart ? 206 : 200, {
    'accept-ranges': 'bytes',
    'content-length': lengthBytes,
    ...(isPart ? { 'content-range': `bytes ${first}-${last}/${file.size}` } : {}),
  });
  if (request.method === 'HEAD' || lengthBytes === 0) {
    response.end();
    return 0;
  }
  createReadStream(path, { start: first, end: last }).pipe(response);
  return lengthBytes;
}
