/**
 * Addresses of playback: what a path means, and how one is written.
 *
 * | path | what |
 * |---|---|
 * | `/vod/TITLE`, `/vod/TITLE.m3u8` | playlist of the title |
 * | `/vod/TITLE/FILE/NAME` | the file; the name is for the player's window and may be left out |
 * | `/vod/TITLE/a/b.mkv` | the same by its path in the title |
 * | `/vod/TITLE/FILE.vtt` | subtitles: of that file if it is one, else of the file beside it that goes with it |
 * | `/vod/TITLE/FILE/media.json` | what the file holds, and how a browser plays it |
 * | `/vod/TITLE/FILE/hls/index.m3u8`, `init.mp4`, `7.m4s` | the file converted |
 *
 * TITLE is an info hash, FILE the file's number in the torrent. Every address carries `?token=`.
 */
import { mediaKindOf } from '../../vod/content-type.js';
import type { PlayableFile, PlayableTitle } from './playable.js';

/** What is asked for within a title. */
export type PlaybackTarget =
  | { readonly kind: 'playlist' }
  | { readonly kind: 'file'; readonly file: PlayableFile }
  | { readonly kind: 'subtitle'; readonly file: PlayableFile }
  | ConversionTarget;

/** What has to do with converting a file. */
export type ConversionTarget =
  | { readonly kind: 'media'; readonly file: PlayableFile }
  | { readonly kind: 'conversion'; readonly file: PlayableFile; readonly part: string };

/** Parts of a path below a prefix, decoded; one that cannot be decoded stays as it is, and is then no name of anything. */
export function pathParts(path: string, prefix: string): readonly string[] {
  return path.slice(prefix.length).split('/').map(decoded);
}

/** The name of the title in the first part. */
export function titleNameOf(parts: readonly string[]): string {
  const [first = ''] = parts;
  return parts.length === 1 ? first.replace(/\.m3u8$/, '') : first;
}

export function findTarget(title: PlayableTitle, parts: readonly string[]): PlaybackTarget | undefined {
  const [, second = '', ...rest] = parts;
  if (parts.length === 1 || (parts.length === 2 && second === '')) return { kind: 'playlist' };
  const [, number, isSubtitle] = /^(\d{1,7})(\.vtt)?$/.exec(second) ?? [];
  const file = number === undefined ? undefined : title.files.find(({ index }) => index === Number(number));
  return (file && targetOf(file, isSubtitle !== undefined, rest)) ?? fileByPath(title, parts.slice(1));
}

/** The file by its path, as a web seed is asked for it. */
export function fileByPath(title: PlayableTitle, path: readonly string[]): PlaybackTarget | undefined {
  const file = title.files.find(
    (candidate) => candidate.path.length === path.length && candidate.path.every((part, at) => part === path[at]),
  );
  return file && { kind: 'file', file };
}

function targetOf(file: PlayableFile, isSubtitle: boolean, rest: readonly string[]): PlaybackTarget | undefined {
  if (isSubtitle) return rest.length === 0 ? { kind: 'subtitle', file } : undefined;
  const [first = '', second = ''] = rest;
  if (rest.length === 2 && first === 'hls') return { kind: 'conversion', file, part: second };
  if (rest.length > 1) return undefined;
  if (first === 'media.json') return { kind: 'media', file };
  return first === '' || first === nameOf(file) ? { kind: 'file', file } : undefined;
}

/** `/vod/HASH/3/a%20film.mkv`, without origin and token. */
export function filePath(title: PlayableTitle, file: PlayableFile): string {
  return `/vod/${title.infoHash}/${file.index}/${encodeURIComponent(nameOf(file))}`;
}

export function nameOf(file: PlayableFile): string {
  return file.path.at(-1) ?? '';
}

/** Picture and sound, in the order of their paths, numbers by their value. */
export function playableFiles(title: PlayableTitle): readonly PlayableFile[] {
  const order = new Intl.Collator('en', { numeric: true });
  return title.files
    .filter((file) => ['video', 'audio'].includes(mediaKindOf(nameOf(file))))
    .sort((one, other) => order.compare(one.path.join('/'), other.path.join('/')));
}

/** Whether it is subtitles that can be shown as WebVTT. */
export function isSubtitle(file: PlayableFile): boolean {
  return /\.(?:srt|vtt)$/i.test(nameOf(file));
}

/** Subtitles that go with a film: files whose name begins with the film's, and all of them when there is but one film. */
export function subtitlesOf(title: PlayableTitle, film: PlayableFile): readonly PlayableFile[] {
  if (!['video', 'audio'].includes(mediaKindOf(nameOf(film)))) return [];
  const subtitles = title.files.filter(isSubtitle);
  if (subtitles.length === 0) return [];
  const stem = stemOf(nameOf(film));
  const named = subtitles.filter((file) => nameOf(file).toLowerCase().startsWith(stem));
  const films = title.files.filter((file) => mediaKindOf(nameOf(file)) === 'video');
  return named.length > 0 || films.length > 1 ? named : subtitles;
}

function stemOf(name: string): string {
  return name.replace(/\.[^.]*$/, '').toLowerCase();
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
