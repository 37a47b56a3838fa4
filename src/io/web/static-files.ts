/**
 * Serves a fixed list of files over HTTP. A path outside the list reaches no file system, so no path can climb out of a folder.
 *
 * Each file is read once, when first asked for. Answers carry an entity tag; a browser that has the file gets 304.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { HttpServer, WebReply, WebRequest } from './http-server.js';

export interface StaticFile {
  /** Where it is served. */
  readonly path: string;
  readonly file: URL;
  readonly contentType: string;
  /** `Cache-Control` of the answer. */
  readonly cacheControl: string;
}

interface Loaded {
  readonly bytes: Uint8Array;
  readonly entityTag: string;
}

export function serveFiles(server: HttpServer, files: readonly StaticFile[]): void {
  for (const file of files) {
    let loading: Promise<Loaded> | undefined;
    server.get(file.path, async (request) => {
      loading ??= load(file.file);
      return answer(request, file, await loading);
    });
  }
}

async function load(file: URL): Promise<Loaded> {
  const bytes = await readFile(file);
  return { bytes, entityTag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` };
}

function answer(request: WebRequest, { contentType, cacheControl }: StaticFile, { bytes, entityTag }: Loaded): WebReply {
  const headers = { 'Cache-Control': cacheControl, ETag: entityTag };
  if (request.headers['if-none-match'] === entityTag) return { status: 304, headers };
  return { headers: { ...headers, 'Content-Type': contentType }, body: bytes };
}
