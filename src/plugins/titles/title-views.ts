/**
 * Titles as the page, the API and scripts see them: figures, rates, addresses for players.
 */
import type { Bytes, BytesPerSecond, ConnectionId, InfoHash, Milliseconds } from '../../kernel/units.js';
import { mediaKindOf } from '../../vod/content-type.js';
import type { PlayableFile } from './playable.js';
import type { PlaybackAddresses } from './playback.js';
import type { Title } from './title.js';
import type { TitleDetail, TitleFileView, TitlePeerView, TitleTrackerView, TitleView } from './title-view.js';

/** What views need of the endpoints; they come up later than the library. */
export interface TitleEndpoints {
  addressesOf(title: Title, file: PlayableFile): PlaybackAddresses;
  playlistOf(title: Title): string;
  /** A JPEG that was grabbed, or null. */
  picture(id: InfoHash): Promise<Uint8Array | null>;
  /** Another one for each picture; null while there is none. */
  pictureMark(id: InfoHash): string | null;
  forget(id: InfoHash): void;
}

interface Sample {
  readonly atMs: Milliseconds;
  readonly upBytes: Bytes;
  readonly downBytes: Bytes;
}

/** What does not change about a file. */
type FilePlace = Omit<TitleFileView, 'haveBytes' | 'wanted'>;

/** Rates are means over about this long. */
const RATE_MS: Milliseconds = 3_000;
/** Pieces that the page shows as on their way. */
const REQUESTED_MAX = 1_000;

export class TitleViews {
  readonly #endpoints: () => TitleEndpoints | undefined;
  readonly #samples = new Map<InfoHash, Sample[]>();
  /** By the list of files, which is made once for a title: addresses are signed, and there may be thousands. */
  readonly #places = new WeakMap<readonly PlayableFile[], readonly FilePlace[]>();
  #peerRates = new Map<ConnectionId, { readonly upBytes: Bytes; readonly bytesPerSecond: BytesPerSecond }>();

  constructor(endpoints: () => TitleEndpoints | undefined) {
    this.#endpoints = endpoints;
  }

  /** Takes a sample of every title; call once a second. */
  sample(titles: readonly Title[], nowMs: Milliseconds): void {
    const rates = new Map<ConnectionId, { readonly upBytes: Bytes; readonly bytesPerSecond: BytesPerSecond }>();
    for (const { peer, upBytes } of titles.flatMap(({ transfer }) => transfer?.session.neighbourFigures() ?? [])) {
      const before = this.#peerRates.get(peer);
      const lastSecond = upBytes - (before?.upBytes ?? upBytes);
      rates.set(peer, { upBytes, bytesPerSecond: Math.round(((before?.bytesPerSecond ?? 0) + lastSecond) / 2) });
    }
    this.#peerRates = rates;
    for (const title of titles) {
      const { uploadedBytes, downloadedBytes } = title.entry;
      const samples = this.#samples.get(title.infoHash) ?? [];
      this.#samples.set(title.infoHash, samples);
      samples.push({ atMs: nowMs, upBytes: uploadedBytes, downBytes: downloadedBytes });
      while ((samples[1]?.atMs ?? nowMs) <= nowMs - RATE_MS) samples.shift();
    }
  }

  forget(id: InfoHash): void {
    this.#samples.delete(id);
    this.#endpoints()?.forget(id);
  }

  async picture(title: Title): Promise<Uint8Array | null> {
    return (await this.#endpoints()?.picture(title.infoHash)) ?? null;
  }

  view(title: Title, withFiles = true): TitleView {
    const { metainfo, entry, transfer } = title;
    const endpoints = this.#endpoints();
    const sizeBytes = metainfo?.totalBytes ?? 0;
    const haveBytes = title.haveBytes();
    const figures = transfer?.session.figures();
    const wanted = figures ? figures.piecesHere + figures.piecesMissing : 0;
    return {
      id: title.infoHash,
      name: title.name,
      link: title.link,
      state: title.state,
      error: title.error,
      published: entry.published,
      isPrivate: metainfo?.isPrivate ?? false,
      pinned: entry.pinned,
      sizeBytes,
      haveBytes,
      progress: figures && wanted > 0 ? figures.piecesHere / wanted : sizeBytes > 0 ? haveBytes / sizeBytes : title.isComplete ? 1 : 0,
      pieceCount: metainfo?.pieceCount ?? 0,
      pieceLengthBytes: metainfo?.pieceLengthBytes ?? 0,
      downBytesPerSecond: this.#rate(title, 'downBytes'),
      upBytesPerSecond: this.#rate(title, 'upBytes'),
      downloadedBytes: entry.downloadedBytes,
      uploadedBytes: entry.uploadedBytes,
      ratio: ratioOf(entry.uploadedBytes, entry.published ? sizeBytes : entry.downloadedBytes),
      peers: figures?.neighbours ?? title.swarm?.connectionCount ?? 0,
      seeders: figures?.seeders ?? 0,
      addedAt: entry.addedAt,
      picture: this.#picturePath(title.infoHash),
      playlist: endpoints && title.files.some(isPlayable) ? pathOf(endpoints.playlistOf(title)) : null,
      files: withFiles ? this.#files(title) : [],
    };
  }

  detail(title: Title, withFiles = true): TitleDetail {
    const { metainfo, transfer } = title;
    return {
      ...this.view(title, withFiles),
      have: title.have ? Buffer.from(title.have.bytes).toString('base64') : '',
      requested: transfer?.session.requestedPieces(REQUESTED_MAX) ?? [],
      peerList: this.#peers(title),
      trackers: trackersOf(title),
      comment: metainfo?.comment ?? '',
    };
  }

  #picturePath(id: InfoHash): string | null {
    const mark = this.#endpoints()?.pictureMark(id) ?? null;
    return mark === null ? null : `/api/titles/${id}/picture.jpg?v=${mark}`;
  }

  #files(title: Title): readonly TitleFileView[] {
    const known = this.#places.get(title.files) ?? title.files.map((file) => this.#placeOf(title, file));
    if (this.#endpoints()) this.#places.set(title.files, known);
    return known.map((place) => {
      const info = title.metainfo?.files[place.index];
      return { ...place, haveBytes: info ? title.haveBytes(info) : 0, wanted: title.isWanted(place.index) };
    });
  }

  #placeOf(title: Title, file: PlayableFile): FilePlace {
    const path = file.path.join('/');
    const kind = mediaKindOf(file.path.at(-1) ?? '');
    const addresses = this.#endpoints()?.addressesOf(title, file);
    return {
      index: file.index,
      path,
      sizeBytes: file.lengthBytes,
      kind,
      play: addresses ? pathOf(addresses.url) : '',
      browser: addresses ? browserPathOf(kind, path, addresses) : null,
      converted: addresses && isMoving(kind) ? pathOf(addresses.hls) : null,
    };
  }

  #peers(title: Title): readonly TitlePeerView[] {
    const { transfer, metainfo } = title;
    if (!transfer || !metainfo) return [];
    const neighbours = transfer.session.neighbourFigures();
    const priorities = neighbours.reduce((sum, { priority }) => sum + priority, 0);
    return neighbours.map((neighbour) => {
      const info = transfer.info(neighbour.peer);
      return {
        client: info?.client ?? '',
        address: info?.address ?? transfer.webSeedUrl(neighbour.peer) ?? '',
        kind: info ? 'peer' : 'web-seed',
        progress: metainfo.pieceCount > 0 ? neighbour.pieces / metainfo.pieceCount : 1,
        downBytesPerSecond: Math.round(neighbour.downBytesPerSecond),
        upBytesPerSecond: this.#peerRates.get(neighbour.peer)?.bytesPerSecond ?? 0,
        priority: priorities > 0 ? neighbour.priority / priorities : 0,
        encrypted: info?.encrypted ?? false,
      };
    });
  }

  #rate(title: Title, which: 'upBytes' | 'downBytes'): BytesPerSecond {
    const samples = this.#samples.get(title.infoHash);
    const first = samples?.[0];
    const last = samples?.at(-1);
    if (!first || !last || last.atMs <= first.atMs) return 0;
    return Math.max(0, Math.round(((last[which] - first[which]) * 1000) / (last.atMs - first.atMs)));
  }
}

function trackersOf(title: Title): readonly TitleTrackerView[] {
  const words = { ok: 'working', failing: 'not answering', waiting: 'asked, no answer yet' };
  return (title.discovery?.status() ?? []).map(({ url, state, lastError, peers }) => ({
    url,
    state: lastError === undefined ? words[state] : `${words[state]}: ${lastError}`,
    peers,
  }));
}

function isPlayable({ path }: PlayableFile): boolean {
  return isMoving(mediaKindOf(path.at(-1) ?? ''));
}

function isMoving(kind: TitleFileView['kind']): boolean {
  return kind === 'video' || kind === 'audio';
}

/** Containers that browsers play by themselves, whatever is in them in practice; all else goes through the conversion. */
const BROWSER_FILES = /\.(?:mp4|m4v|webm|mp3|m4a|ogg|oga|opus|wav|flac)$/i;

function browserPathOf(kind: TitleFileView['kind'], path: string, addresses: PlaybackAddresses): string | null {
  if (kind === 'picture') return pathOf(addresses.url);
  if (kind === 'subtitle') return addresses.subtitle === null ? null : pathOf(addresses.subtitle);
  if (!isMoving(kind)) return null;
  return pathOf(BROWSER_FILES.test(path) ? addresses.url : addresses.hls);
}

/** Without the origin, `http://127.0.0.1:8080`. */
function pathOf(address: string): string {
  return address.slice(address.indexOf('/', address.indexOf('//') + 2));
}

function ratioOf(upBytes: Bytes, ofBytes: Bytes): number {
  return ofBytes > 0 ? Math.round((upBytes / ofBytes) * 1000) / 1000 : 0;
}
