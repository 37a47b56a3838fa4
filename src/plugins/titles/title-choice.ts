/**
 * Which file of a title to play, as a person says it on the command line, and the subtitles that lie beside it.
 */
import { ShoalError } from '../../kernel/errors.js';
import type { TitleFileView } from './title-view.js';

/** What goes to a player: one file with its subtitles, or the whole title as its playlist. */
export type TitleChoice =
  | { readonly kind: 'file'; readonly file: TitleFileView; readonly subtitles: readonly TitleFileView[] }
  | { readonly kind: 'playlist' };

/** Names listed in a refusal. */
const LISTED_MAX = 20;

/**
 * @param wanted the number of a file as `listFiles` tells it, or its path or a part of that; undefined: the only film, or all of them; of what has no
 * film by its names, the longest file.
 * @throws ShoalError `TITLE_FILE_UNKNOWN` when no file or more than one answers to that.
 */
export function chooseFile(files: readonly TitleFileView[], wanted: string | undefined): TitleChoice {
  if (wanted !== undefined) return withSubtitles(files, findFile(files, wanted));
  const playable = files.filter(isPlayable);
  const films = playable.filter(({ kind }) => kind === 'video');
  if (films.length !== 1 && playable.length > 1) return { kind: 'playlist' };
  const file = films[0] ?? playable[0] ?? files.toSorted((one, other) => other.sizeBytes - one.sizeBytes)[0];
  if (file === undefined) throw new ShoalError('TITLE_FILE_UNKNOWN', 'There is no file in this title.');
  return withSubtitles(files, file);
}

/** `  3  folder/film.mkv`, one line for each file; numbers are places in the list, from 1. */
export function listFiles(files: readonly TitleFileView[]): readonly string[] {
  const width = String(files.length).length;
  return files.map(({ path }, at) => `  ${String(at + 1).padStart(width)}  ${path}`);
}

function findFile(files: readonly TitleFileView[], wanted: string): TitleFileView {
  const byNumber = /^\d{1,7}$/.test(wanted) ? files[Number(wanted) - 1] : undefined;
  const exact = files.find(({ path }) => path === wanted);
  const similar = files.filter(({ path }) => path.toLowerCase().includes(wanted.toLowerCase()));
  const playable = similar.filter(isPlayable);
  const [found, ...more] = playable.length > 0 ? playable : similar;
  const file = byNumber ?? exact ?? (more.length === 0 ? found : undefined);
  if (file !== undefined) return file;
  const many = found !== undefined;
  const words = many ? `More than one file of this title is called "${wanted}":` : `No file of this title is called "${wanted}". It has:`;
  throw new ShoalError('TITLE_FILE_UNKNOWN', `${words}\n${listing(files, (file) => !many || similar.includes(file))}`);
}

function listing(files: readonly TitleFileView[], isMeant: (file: TitleFileView) => boolean = () => true): string {
  const lines = listFiles(files).filter((_, at) => isMeant(files[at] as TitleFileView));
  const rest = lines.length > LISTED_MAX ? [`  and ${lines.length - LISTED_MAX} more`] : [];
  return [...lines.slice(0, LISTED_MAX), ...rest].join('\n');
}

/** Those whose name begins with the film's; all of them when there is but one film. */
function withSubtitles(files: readonly TitleFileView[], file: TitleFileView): TitleChoice {
  const all = isPlayable(file) ? files.filter(({ kind }) => kind === 'subtitle') : [];
  const stem = nameOf(file)
    .replace(/\.[^.]*$/, '')
    .toLowerCase();
  const named = all.filter((subtitle) => nameOf(subtitle).toLowerCase().startsWith(stem));
  const hasOneFilm = files.filter(({ kind }) => kind === 'video').length <= 1;
  return { kind: 'file', file, subtitles: named.length > 0 || !hasOneFilm ? named : all };
}

function isPlayable({ kind }: TitleFileView): boolean {
  return kind === 'video' || kind === 'audio';
}

function nameOf({ path }: TitleFileView): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
