/**
 * The API of titles: what the page and programs ask of the library over HTTP.
 *
 * Whoever reaches the server may look; only this machine may change something, unless the operator says otherwise. Answers that fail are
 * `{"error":{"code","message"}}` with words that a person understands.
 */
import type { HttpServer, WebChange, WebReply, WebRequest } from '../../io/web/http-server.js';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes, InfoHash } from '../../kernel/units.js';
import { z } from '../../options/schema.js';
import { formatMagnet } from '../../vod/magnet-link.js';
import type { CachingView, TitleDetail, TitleLibraryPort, TitleSource, TitleView } from './title-view.js';

/** The list as the API tells it. */
export interface TitleList {
  readonly titles: readonly TitleView[];
  /** Whether who asked may add, remove, pause, resume and check. */
  readonly mayChange: boolean;
  readonly caching: CachingView;
}

export interface TitlesApiOptions {
  /** Default false: other machines may look and play, but not add or remove. */
  readonly changesFromElsewhere?: boolean;
}

const TORRENT_TYPE = 'application/x-bittorrent';
const JSON_TYPE = 'application/json';
/** A torrent of 10 MiB describes 500,000 pieces: 8 TiB at 16 MiB each. */
const TORRENT_BYTES_MAX: Bytes = 10 * 1024 * 1024;
const JSON_BYTES_MAX: Bytes = 64 * 1024;
/** As much as is read of a magnet; one with a hundred trackers has some 5000. */
const LINK_CHARACTERS_MAX = 32_768;

const ADDITION = z.strictObject({
  link: z.string().trim().min(1, 'is empty').max(LINK_CHARACTERS_MAX, `has more than ${LINK_CHARACTERS_MAX} characters`),
});

/** What the library may answer, and what that is in HTTP. Everything else with words is 422: understood, and not possible. */
const STATUS_OF: Readonly<Record<string, number>> = {
  LINK_MALFORMED: 400,
  TORRENT_MALFORMED: 400,
  TITLE_UNKNOWN: 404,
  METADATA_UNKNOWN: 409,
  TITLE_COLLISION: 409,
  TITLE_STORE_BUSY: 409,
  TITLE_DISK_FULL: 507,
};

/** Mounts `/api/titles` and all below it. Called once for a server. */
export function mountTitles(server: HttpServer, library: TitleLibraryPort, options: TitlesApiOptions = {}): void {
  const api = new TitlesApi(library, options);
  const both = { [JSON_TYPE]: JSON_BYTES_MAX, [TORRENT_TYPE]: TORRENT_BYTES_MAX };
  server.get('/api/titles', (request) => api.list(request));
  server.change(['POST'], '/api/titles', both, (request) => api.add(request));
  server.get('/api/titles/:id', (request) => api.read(request));
  server.change(['DELETE'], '/api/titles/:id', {}, (request) => api.remove(request));
  server.change(['POST'], '/api/titles/:id/pause', {}, (request) => api.changeState(request, (id) => library.pause(id)));
  server.change(['POST'], '/api/titles/:id/resume', {}, (request) => api.changeState(request, (id) => library.resume(id)));
  server.change(['POST'], '/api/titles/:id/recheck', {}, (request) => api.changeState(request, (id) => library.recheck(id)));
  server.change(['POST'], '/api/titles/:id/pin', {}, (request) => api.changeState(request, async (id) => library.pin(id, true)));
  server.change(['POST'], '/api/titles/:id/unpin', {}, (request) => api.changeState(request, async (id) => library.pin(id, false)));
  server.get('/api/titles/:id/picture.jpg', (request) => api.picture(request));
  server.get('/api/titles/:id/title.torrent', (request) => api.torrent(request));
}

class TitlesApi {
  readonly #library: TitleLibraryPort;
  readonly #options: TitlesApiOptions;

  constructor(library: TitleLibraryPort, options: TitlesApiOptions) {
    this.#library = library;
    this.#options = options;
  }

  list(request: WebRequest): WebReply {
    const mayChange = this.#mayChange(request);
    const titles = this.#library.list({ withFiles: wantsFiles(request) });
    const list: TitleList = { titles: mayChange ? titles : titles.map(forOthers), mayChange, caching: this.#library.caching };
    return json(200, list);
  }

  read(request: WebRequest): WebReply {
    return this.#withTitle(request, (detail) => json(200, this.#mayChange(request) ? detail : detailForOthers(detail))) as WebReply;
  }

  /** 201 for a title that is new, 200 for one that was there. */
  add(request: WebChange): Promise<WebReply> {
    return this.#change(request, async () => {
      const source = sourceOf(request);
      if ('fault' in source) return source.fault;
      const known = new Set(this.#library.list({ withFiles: false }).map(({ id }) => id));
      const title = await this.#library.add(source);
      const { headers, ...reply } = json(known.has(title.id) ? 200 : 201, title);
      return { ...reply, headers: { ...headers, Location: `/api/titles/${title.id}` } };
    });
  }

  remove(request: WebChange): Promise<WebReply> {
    return this.#change(request, async () => {
      const data = request.query.get('data');
      if (data !== 'keep' && data !== 'remove')
        return fault(400, 'DATA_UNSAID', 'Say what happens to the files: ?data=keep leaves them on the disk, ?data=remove deletes them.');
      return this.#withTitle(request, async ({ id }) => {
        await this.#library.remove(id, { withData: data === 'remove' });
        return { status: 204 };
      });
    });
  }

  /** Pauses, resumes and the like, and answers how the title is then. */
  changeState(request: WebChange, task: (id: InfoHash) => Promise<void>): Promise<WebReply> {
    return this.#change(request, () =>
      this.#withTitle(request, async ({ id }) => {
        await task(id);
        return this.read(request);
      }),
    );
  }

  async picture(request: WebRequest): Promise<WebReply> {
    const id = idOf(request);
    const picture = this.#library.detail(id) === undefined ? null : await this.#library.picture(id);
    if (picture === null) return fault(404, 'PICTURE_UNKNOWN', 'There is no picture of this title (yet).');
    return { headers: { ...OWN_PAGES_ONLY, 'Content-Type': 'image/jpeg', 'Cache-Control': 'private, max-age=3600' }, body: picture };
  }

  async torrent(request: WebRequest): Promise<WebReply> {
    return this.#withTitle(request, async ({ id, name, isPrivate }) => {
      if (isPrivate && !this.#mayChange(request)) return fault(403, 'ANOTHER_MACHINE', PRIVATE_TORRENT);
      const torrent = await this.#library.torrent(id);
      if (torrent === null)
        return fault(404, 'METADATA_UNKNOWN', 'The description of this title has not come yet; try again when its name is known.');
      const disposition = `attachment; filename="${id}.torrent"; filename*=UTF-8''${fileNameOf(name, id)}.torrent`;
      return {
        headers: { ...OWN_PAGES_ONLY, 'Content-Type': TORRENT_TYPE, 'Content-Disposition': disposition, 'Cache-Control': 'no-store' },
        body: torrent,
      };
    });
  }

  #mayChange(request: WebRequest): boolean {
    return this.#options.changesFromElsewhere === true || request.isFromThisMachine;
  }

  #withTitle(request: WebRequest, answer: (detail: TitleDetail) => WebReply | Promise<WebReply>): WebReply | Promise<WebReply> {
    const detail = this.#library.detail(idOf(request), { withFiles: wantsFiles(request) });
    if (detail !== undefined) return answer(detail);
    return fault(404, 'TITLE_UNKNOWN', 'There is no such title here; /api/titles lists the ones there are.');
  }

  async #change(request: WebChange, task: () => WebReply | Promise<WebReply>): Promise<WebReply> {
    if (!this.#mayChange(request))
      return fault(
        403,
        'ANOTHER_MACHINE',
        'Titles are added and removed only on the machine that Shoal runs on. From elsewhere they can be looked at and played.',
      );
    try {
      return await task();
    } catch (error) {
      // A mistake of ours is not explained to strangers: the server logs it and says so.
      if (!(error instanceof ShoalError) || error.code === 'INVARIANT') throw error;
      return fault(STATUS_OF[error.code] ?? 422, error.code, error.message);
    }
  }
}

const PRIVATE_TORRENT =
  'The torrent of a private title names its owner at the tracker. It is given out only on the machine that Shoal runs on.';

const FAULT_FOR_OTHERS = 'It cannot go on. The page on the machine that Shoal runs on says why.';

/** Addresses at a tracker are mostly the owner's alone; while nobody knows whether a title is private it may be. */
function isGuarded({ isPrivate, pieceCount }: TitleView): boolean {
  return isPrivate || pieceCount === 0;
}

/** Words of the system name folders of this machine, and are for its own people. */
function forOthers<View extends TitleView>(view: View): View {
  const title = view.error === null ? view : { ...view, error: FAULT_FOR_OTHERS };
  if (!isGuarded(title)) return title;
  const { id, name } = title;
  return {
    ...title,
    link: formatMagnet({ infoHash: id, name: name || undefined, trackers: [], webSeeds: [], peers: [], selectOnly: undefined }),
  };
}

function detailForOthers(detail: TitleDetail): TitleDetail {
  const shown = forOthers(detail);
  if (!isGuarded(detail)) return shown;
  const host = (url: string): string => (URL.canParse(url) ? `${new URL(url).protocol}//${new URL(url).host}` : '');
  return {
    ...shown,
    // A tracker's own words may name whom it refuses.
    trackers: detail.trackers.map((tracker) => ({ ...tracker, url: host(tracker.url), state: tracker.state.replace(/:.*/s, '') })),
    comment: '',
    peerList: detail.peerList.map((peer) => (peer.kind === 'web-seed' ? { ...peer, address: host(peer.address) } : peer)),
  };
}

/** Other sites may not even show it: whether a picture loads would tell them what is here. */
const OWN_PAGES_ONLY: Readonly<Record<string, string>> = { 'Cross-Origin-Resource-Policy': 'same-origin' };

/** With `?files=no` the files are left out: the page asks once a second, and a title may have thousands. */
function wantsFiles({ query }: WebRequest): boolean {
  return query.get('files') !== 'no';
}

function idOf(request: WebRequest): InfoHash {
  return (request.parameters['id'] ?? '').toLowerCase();
}

function sourceOf({ contentType, body }: WebChange): TitleSource | { readonly fault: WebReply } {
  if (contentType === TORRENT_TYPE) {
    if (body.length > 0) return { torrent: body };
    return { fault: fault(400, 'BODY_EMPTY', 'The torrent file is empty.') };
  }
  const parsed = ADDITION.safeParse(parseJson(body));
  if (parsed.success) return parsed.data;
  return { fault: fault(400, 'BODY_MALFORMED', complaintOf(parsed.error.issues)) };
}

const RIGHT_BODY = 'Send {"link":"magnet:?xt=urn:btih:…"} as application/json, or a torrent file as application/x-bittorrent.';

function complaintOf(
  issues: readonly { readonly code: string; readonly path: readonly PropertyKey[]; readonly message: string }[],
): string {
  const [issue] = issues;
  if (issue === undefined || issue.path.length === 0) {
    const surplus = issue?.code === 'unrecognized_keys';
    return `The body is ${surplus ? 'an object with keys that mean nothing here' : 'no JSON object'}. ${RIGHT_BODY}`;
  }
  const isOurs = issue.message.startsWith('is ') || issue.message.startsWith('has ');
  return `"link" ${isOurs ? issue.message : 'is no text'}. ${RIGHT_BODY}`;
}

/** undefined for what is no JSON in UTF-8. */
function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

/** A name for a header (RFC 8187): no control or bidi characters, no separators, not endless. */
function fileNameOf(name: string, id: InfoHash): string {
  // The class C has lone surrogates too, which could not be encoded.
  const plain = [...name.replace(/[\p{C}/\\]/gu, '')].slice(0, 120).join('').trim();
  return encodeURIComponent(plain === '' ? id : plain).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function json(status: number, value: unknown): WebReply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  };
}

function fault(status: number, code: string, message: string): WebReply {
  return json(status, { error: { code, message } });
}
