/** Titles in words: sizes, progress, and what is said of them on the command line. */
import type { Bytes, BytesPerSecond } from '../../kernel/units.js';
import type { TitleView } from './title-view.js';

/** Titles of more files are told without them where it is done every second. */
export const FILES_TOLD_MAX = 100;

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** `1.4 GB`: decimal units, three digits. */
export function sizeText(bytes: Bytes | BytesPerSecond): string {
  let value: number = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `[#####-----]  50 %`. */
export function progressOf(doneBytes: Bytes, totalBytes: Bytes): string {
  const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 1;
  const full = Math.round(share * 20);
  return `[${'#'.repeat(full)}${'-'.repeat(20 - full)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

/** What is said of a title that others may have now. `torrentPath`: where its `.torrent` file lies. */
export function publishedLines(title: TitleView, torrentPath: string): readonly string[] {
  const { name, link, sizeBytes, files, pieceCount, pieceLengthBytes } = title;
  const content = files.length === 1 ? 'one file' : `${files.length} files`;
  return [
    `"${name}" is published: ${content}, ${sizeText(sizeBytes)} in ${pieceCount} pieces of ${pieceLengthBytes / 1024} KiB.`,
    `  Link                 ${link}`,
    `  Torrent file         ${torrentPath}`,
    `  Watch elsewhere      npx shoal play "${link}"`,
  ];
}

/** How it goes with one title, or what is in its way, and how many more there are. */
export function statusText(title: TitleView, count: number): string {
  const { name, state, progress, peers, downBytesPerSecond, upBytesPerSecond, error } = title;
  const more = count > 1 ? ` · and ${count - 1} more` : '';
  if (error !== null) return `${name || title.id} · ${state} · ${Math.floor(progress * 1000) / 10} %${more} · ${error}`;
  const rates = `down ${sizeText(downBytesPerSecond)}/s · up ${sizeText(upBytesPerSecond)}/s`;
  return `${name || title.id} · ${state} · ${Math.floor(progress * 1000) / 10} % · ${peers} ${peers === 1 ? 'peer' : 'peers'} · ${rates}${more}`;
}

/** What is still missing when a download is broken off; undefined when nothing is. */
export function missingText(titles: readonly TitleView[]): string | undefined {
  const missing = titles.filter(({ state, progress }) => state === 'metadata' || progress < 1);
  if (missing.length === 0) return undefined;
  const parts = missing.map(({ name, id, progress }) => `"${name || id}" is here to ${Math.floor(progress * 100)} %`);
  return `Stopped: ${parts.join(', ')}. The same command goes on from there.`;
}

/** Names of files have at most 255 bytes. */
export function torrentFileName(name: string): string {
  let stem = name;
  while (new TextEncoder().encode(stem).length > 240) stem = [...stem].slice(0, -1).join('');
  return `${stem}.torrent`;
}
