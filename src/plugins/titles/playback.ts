/**
 * The local playback endpoint: any file of any title over HTTP while it downloads, for any number of players at once.
 *
 * Who may play: whoever has the title's token, a capability that is good for this title on this machine and for nothing else. Programs get
 * it in the address that `shoal play` opens, our page from its own API, which no other page can read. A web page elsewhere has no token, so
 * every path below `/vod` answers it with the same 403, whether the title is there or not; and if an address should ever leak, a browser
 * still refuses to show it elsewhere (`Cross-Origin-Resource-Policy`), and we refuse what a browser marks as foreign
 * (`Sec-Fetch-Site`, `Origin`). The token is in the query because a log shows paths; it opens nothing that could be changed. What a title
 * holds comes from strangers: nothing is served as a document or script, and a sandbox is around all of it.
 *
 * Below `/seed`, titles whose owner says so are public, for other machines as a web seed (BEP 19): complete files only, so that nobody
 * outside can make this machine download. See docs/decisions/0011-playback.md.
 */
import type { ServerResponse } from 'node:http';
import { isToken, makeToken } from '../../io/web/access-token.js';
import type { HttpServer, WebRequest } from '../../io/web/http-server.js';
import { answerRanged, goneSignal, sayInWords } from '../../io/web/ranged-response.js';
import { Malformed } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes } from '../../kernel/units.js';
import { entityTagOf } from '../../vod/conditional-request.js';
import { contentTypeOf } from '../../vod/content-type.js';
import { formatTitlePlaylist } from '../../vod/playlist.js';
import { SUBTITLE_BYTES_MAX, toWebVtt } from '../../vod/subtitle.js';
import { Conversions } from './conversion.js';
import { LentFiles } from './lent-files.js';
import type { PlayableFile, PlayableLibrary, PlayableTitle } from './playable.js';
import {
  fileByPath,
  filePath,
  findTarget,
  isSubtitle,
  nameOf,
  pathParts,
  playableFiles,
  subtitlesOf,
  titleNameOf,
} from './playback-address.js';
import { readPart } from './whole-file.js';

export interface PlaybackOptions {
  /** 32 secret bytes that tokens are made from. Kept over restarts, addresses in a player's history go on working. */
  readonly key: Uint8Array;
  readonly log: Log;
  /** Conversions at once. Default 2: each takes a core when it has to encode. */
  readonly conversionsMax?: number;
  /** Web seed answers at once, over all titles. Default 32. */
  readonly seedsMax?: number;
  /** Awaited before bytes go to a web seed's client: the upload limit. */
  readonly paceSeed?: (bytes: Bytes) => Promise<void>;
}

/** Addresses of one file, absolute, with their tokens: secrets, for this machine's user alone. */
export interface PlaybackAddresses {
  readonly url: string;
  /** Converted for a browser, when it cannot play the file itself. */
  readonly hls: string;
  /** What the file holds, as JSON. */
  readonly media: string;
  /** As WebVTT: itself if it is subtitles, else the first ones that go with it; null when there are none. */
  readonly subtitle: string | null;
}

/** What mounting gives back. */
export interface Playback {
  addressesOf(title: PlayableTitle, file: PlayableFile): PlaybackAddresses;
  /** The title's m3u8 playlist. */
  playlistOf(title: PlayableTitle): string;
  /** Files that programs of ours read while they look at them. */
  readonly lentFiles: LentFiles;
  /** Players of all titles right now, conversions not counted. */
  readonly players: number;
  /** Conversions that run right now. */
  readonly conversions: number;
  /** Ends conversions. Streams end with the server. */
  stop(): Promise<void>;
}

const SEEDS_MAX = 32;
const METHODS = 'GET, HEAD';

/** DLNA guidelines, 7.4.1.3: seeks by byte, not by time; streamed, in the background or at once; made to version 1.5. */
const DLNA_FEATURES = 'DLNA.ORG_OP=01;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=01700000000000000000000000000000';
const DLNA_MODES = ['Streaming', 'Interactive', 'Background'];

const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; media-src 'self'; img-src 'self'; frame-ancestors 'none'; sandbox",
};

/** Mounts `/vod` and `/seed` on a server. */
export function mountPlayback(server: HttpServer, library: PlayableLibrary, options: PlaybackOptions): Playback {
  return new MountedPlayback(server, library, options);
}

class MountedPlayback implements Playback {
  readonly #server: HttpServer;
  readonly #library: PlayableLibrary;
  readonly #options: PlaybackOptions;
  readonly #conversions: Conversions;
  readonly lentFiles: LentFiles;
  /** Addresses are asked for by the thousand, of one title at a time. */
  #newestToken: { readonly infoHash: string; readonly token: string } | undefined;
  #players = 0;
  #seeds = 0;

  constructor(server: HttpServer, library: PlayableLibrary, options: PlaybackOptions) {
    this.#server = server;
    this.#library = library;
    this.#options = options;
    const { log, conversionsMax } = options;
    this.lentFiles = new LentFiles(server, log);
    this.#conversions = new Conversions({ files: this.lentFiles, log, ...(conversionsMax === undefined ? {} : { conversionsMax }) });
    server.stream('/vod/*path', (request, response) => this.#answer(request, response));
    server.stream('/seed/*path', (request, response) => this.#answerSeed(request, response));
  }

  get players(): number {
    return this.#players;
  }

  get conversions(): number {
    return this.#conversions.running;
  }

  addressesOf(title: PlayableTitle, file: PlayableFile): PlaybackAddresses {
    const base = `/vod/${title.infoHash}/${file.index}`;
    const absolute = (path: string): string => this.#absolute(title, path);
    // Made when they are read: a title may have ten thousand files.
    return {
      get url() {
        return absolute(filePath(title, file));
      },
      get hls() {
        return absolute(`${base}/hls/index.m3u8`);
      },
      get media() {
        return absolute(`${base}/media.json`);
      },
      get subtitle() {
        return isSubtitle(file) || subtitlesOf(title, file).length > 0 ? absolute(`${base}.vtt`) : null;
      },
    };
  }

  playlistOf(title: PlayableTitle): string {
    return this.#absolute(title, `/vod/${title.infoHash}.m3u8`);
  }

  stop(): Promise<void> {
    return this.#conversions.stop();
  }

  #absolute(title: PlayableTitle, path: string): string {
    return `${this.#server.url.slice(0, -1)}${path}?token=${this.#tokenOf(title)}`;
  }

  #tokenOf({ infoHash }: PlayableTitle): string {
    if (this.#newestToken?.infoHash !== infoHash) this.#newestToken = { infoHash, token: makeToken(this.#options.key, infoHash) };
    return this.#newestToken.token;
  }

  #answer(request: WebRequest, response: ServerResponse): void {
    setHeaders(response, SAFE_HEADERS);
    const parts = pathParts(request.path, '/vod/');
    const name = titleNameOf(parts);
    const title = this.#library.title(name.toLowerCase()) ?? this.#library.title(name);
    if (isForeign(request) || !this.#hasToken(request, title?.infoHash ?? name.toLowerCase()))
      return sayInWords(request, response, 403, 'This address lacks its token. Take it from `shoal play`, or from the page of this Shoal.');
    if (!isReading(request, response)) return;
    if (title === undefined) return sayInWords(request, response, 404, 'There is no such title here.');
    const target = findTarget(title, parts);
    if (target === undefined) return sayInWords(request, response, 404, 'There is no such file in this title.');
    if (target.kind === 'playlist') this.#servePlaylist(request, response, title);
    else if (target.kind === 'file') this.#serveFile(request, response, title, target.file);
    else if (target.kind === 'subtitle') void this.#serveSubtitle(request, response, title, target.file);
    else this.#conversions.answer(request, response, title, target, this.#tokenOf(title));
  }

  #hasToken(request: WebRequest, infoHash: string): boolean {
    return isToken(this.#options.key, infoHash, request.query.get('token') ?? '');
  }

  #serveFile(request: WebRequest, response: ServerResponse, title: PlayableTitle, file: PlayableFile): void {
    this.#players += 1;
    response.once('close', () => {
      this.#players -= 1;
    });
    const headers = { ...dlnaHeaders(request), ...dispositionOf(file), 'Cache-Control': 'private, no-cache' };
    void answerRanged(request, response, { ...this.#resourceOf(title, file), headers });
  }

  #resourceOf(title: PlayableTitle, file: PlayableFile) {
    return {
      entityTag: entityTagOf(title.infoHash, file.index),
      modifiedS: title.createdS,
      lengthBytes: file.lengthBytes,
      contentType: contentTypeOf(nameOf(file)),
      log: this.#options.log,
      open: (fromByte: Bytes, toByte: Bytes) => file.open(fromByte, toByte),
    };
  }

  #servePlaylist(request: WebRequest, response: ServerResponse, title: PlayableTitle): void {
    // A player on another machine asked by another name, which has been looked at.
    const token = this.#tokenOf(title);
    const urlOf = (file: PlayableFile): string => `http://${request.headers.host}${filePath(title, file)}?token=${token}`;
    const entries = playableFiles(title).map((file) => ({ name: nameOf(file), url: urlOf(file) }));
    sendText(request, response, 'application/vnd.apple.mpegurl', formatTitlePlaylist(title.name, entries));
  }

  async #serveSubtitle(request: WebRequest, response: ServerResponse, title: PlayableTitle, file: PlayableFile): Promise<void> {
    const source = isSubtitle(file) ? file : subtitlesOf(title, file)[0];
    if (source === undefined) return sayInWords(request, response, 404, 'No subtitles go with this file.');
    if (source.lengthBytes > SUBTITLE_BYTES_MAX) return sayInWords(request, response, 415, 'This file is too long to be subtitles.');
    if (request.method === 'HEAD') return void response.writeHead(200, { 'Content-Type': 'text/vtt; charset=utf-8' }).end();
    const bytes = await readPart(source, 0, source.lengthBytes, goneSignal(response)).catch(() => undefined);
    if (bytes === undefined) return void response.destroy();
    const text = toWebVtt(bytes);
    if (text instanceof Malformed) sayInWords(request, response, 415, `These subtitles cannot be shown: ${text.reason}`);
    else sendText(request, response, 'text/vtt; charset=utf-8', text);
  }

  #answerSeed(request: WebRequest, response: ServerResponse): void {
    setHeaders(response, SAFE_HEADERS);
    if (!isReading(request, response)) return;
    const found = this.#findSeed(pathParts(request.path, '/seed/'));
    if (found === undefined) return sayInWords(request, response, 404, 'There is no such file here.');
    const { title, file } = found;
    const retry = { 'Retry-After': '60' };
    if (!file.isComplete() || this.#seeds >= (this.#options.seedsMax ?? SEEDS_MAX)) {
      setHeaders(response, retry);
      return sayInWords(request, response, 503, file.isComplete() ? 'Too many ask at once.' : 'This file is not complete here yet.');
    }
    this.#seeds += 1;
    response.once('close', () => {
      this.#seeds -= 1;
    });
    const { paceSeed } = this.#options;
    const headers = { ...dispositionOf(file), 'Cache-Control': 'no-cache' };
    void answerRanged(request, response, { ...this.#resourceOf(title, file), headers, ...(paceSeed && { pace: paceSeed }) });
  }

  /**
   * `/seed/HASH/NAME/PATH` is unambiguous, and what we write into torrents; `/seed/NAME/PATH` means the first title of that name. `/seed/HASH/` is the file of a
   * title of one: WebTorrent does not add its name, as BEP 19 wants it.
   */
  #findSeed(parts: readonly string[]): { readonly title: PlayableTitle; readonly file: PlayableFile } | undefined {
    for (const title of this.#library.list()) {
      if (title.isPublicSeed !== true) continue;
      const isExact = parts[0] === title.infoHash;
      const [name, ...path] = isExact ? parts.slice(1) : parts;
      if (name !== title.name && !(isExact && name === '')) continue;
      const target = fileByPath(title, path.length === 0 ? [title.name] : path);
      if (target?.kind === 'file') return { title, file: target.file };
    }
    return undefined;
  }
}

/** Another page's request, as far as the browser says so. Programs that are no browsers send neither field. */
function isForeign({ headers }: WebRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  return headers.origin !== undefined && headers.origin !== `http://${headers.host}`;
}

/** Answers any other method itself. */
function isReading(request: WebRequest, response: ServerResponse): boolean {
  if (request.method === 'GET' || request.method === 'HEAD') return true;
  response.setHeader('Allow', METHODS);
  sayInWords(request, response, 405, `${request.method} is not possible here.`);
  return false;
}

function sendText(request: WebRequest, response: ServerResponse, contentType: string, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': body.length, 'Cache-Control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function setHeaders(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

/** Renderers refuse a file that does not say how it may be fetched; nobody else minds. */
function dlnaHeaders({ headers }: WebRequest): Readonly<Record<string, string>> {
  const asked = headers['transfermode.dlna.org'];
  const mode = DLNA_MODES.find((name) => name === asked) ?? 'Streaming';
  const answer = { 'contentFeatures.dlna.org': DLNA_FEATURES, 'transferMode.dlna.org': mode };
  return headers['realtimeinfo.dlna.org'] === undefined ? answer : { ...answer, 'realTimeInfo.dlna.org': 'DLNA.ORG_TLAG=*' };
}

/** The name for whoever saves the file (RFC 6266); what is no media is never shown in a window. */
function dispositionOf(file: PlayableFile): Readonly<Record<string, string>> {
  const name = nameOf(file);
  const kind = contentTypeOf(name) === 'application/octet-stream' ? 'attachment' : 'inline';
  const escaped = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return { 'Content-Disposition': `${kind}; filename*=UTF-8''${escaped}` };
}
