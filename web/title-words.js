/**
 * Titles in words: names, sizes, states and what can be done with a text or file that somebody hands in. Texts only; the page shows them
 * elsewhere.
 *
 * Names come from strangers. They may be empty, ten thousand characters long, or written to look like something else, so every name on the
 * page has gone through `nameOf`.
 */

/** Control characters, lone halves of pairs, and marks that turn the direction of what follows. What hides is not shown. */
const UNSEEN_CHARACTERS = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;
/** More marks than any script puts on one letter; they would paint over the lines above. */
const HEAPED_MARKS = /(\p{M}{4})\p{M}+/gu;
const NAME_CHARACTERS_MAX = 160;
const MAGNETS_MAX = 50;
const TEXT_CHARACTERS_MAX = 1_000_000;
const TORRENT_ADDRESS = /^https?:\/\/\S+\.torrent(?:[?#]\S*)?$/i;
const NO_LINK = 'That is no magnet link, no torrent file and no address of one. A magnet link begins with magnet:?xt=urn:btih:';
const INFO_HASH = /^(?:[0-9a-f]{40}|[a-z2-7]{32})$/i;

/** A name that can be shown and read aloud. */
export function nameOf(text, otherwise = 'Unnamed title', charactersMax = NAME_CHARACTERS_MAX) {
  const clean = text
    .slice(0, 4 * charactersMax)
    .replace(UNSEEN_CHARACTERS, ' ')
    .replace(HEAPED_MARKS, '$1')
    .replace(/\s+/g, ' ')
    .trim();
  const characters = [...clean];
  if (characters.length === 0) return otherwise;
  return characters.length > charactersMax ? `${characters.slice(0, charactersMax).join('').trimEnd()}…` : clean;
}

/** Its name, or what else tells it apart. */
export function titleName({ name, id }) {
  return nameOf(name, `Title ${id.slice(0, 8)}`);
}

/** `0 B`, `950 B`, `1.2 kB`, `34 MB`, `5.67 GB`: powers of a thousand, as disks are sold. */
export function formatSize(sizeBytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = sizeBytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits).replace(/\.0+$/, '')} ${units[unit]}`;
}

/** Whole per cents; 100 only for all of it. */
export function formatPercent(progress) {
  return `${progress >= 1 ? 100 : Math.min(99, Math.floor(progress * 100))} %`;
}

/** `40 s`, `12 min`, `3 h 5 min`, `4 days`. */
export function formatDuration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

/** What a title is doing, as a person would say it. */
export function describeState(title) {
  const { state, error, peers } = title;
  switch (state) {
    case 'metadata':
      return peers === 0 ? 'Looking for peers who know what this is' : `Asking ${counted(peers, 'peer')} what this is`;
    case 'checking':
      return 'Checking what is on the disk';
    case 'downloading':
      return describeDownload(title);
    case 'seeding':
      return title.upBytesPerSecond > 0 ? 'Complete, giving to others' : 'Complete, ready to give to others';
    case 'idle':
      return 'Complete';
    case 'paused':
      return title.progress >= 1 ? 'Complete, paused' : 'Paused';
    default:
      return `Failed: ${nameOf(error ?? 'nobody knows why', 'nobody knows why', 400)}`;
  }
}

function describeDownload({ peers, progress, sizeBytes, downBytesPerSecond }) {
  if (peers === 0) return 'Looking for peers';
  const leftBytes = (1 - progress) * sizeBytes;
  if (downBytesPerSecond < 1) return 'Downloading, waiting for peers to send';
  return `Downloading, about ${formatDuration(leftBytes / downBytesPerSecond)} left`;
}

/** `1.2 GB of 4 GB`; only the size when all is here. */
export function describeAmount({ haveBytes, sizeBytes, state }) {
  if (state === 'metadata') return 'size not known yet';
  return haveBytes >= sizeBytes ? formatSize(sizeBytes) : `${formatSize(haveBytes)} of ${formatSize(sizeBytes)}`;
}

/** For `aria-valuetext`. */
export function describeProgress(title) {
  return `${formatPercent(title.progress)}, ${describeAmount(title)}`;
}

export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** What removing does to the files, and the words on the two buttons; `remove` is null where there is nothing to delete. */
export function describeRemoval({ published, haveBytes, files }) {
  if (published)
    return {
      text: 'It was made from files of this machine. They stay where they are; they are only no longer given to others.',
      keep: 'Remove',
      remove: null,
    };
  if (haveBytes === 0) return { text: 'Nothing of it has been downloaded yet.', keep: 'Remove', remove: null };
  const amount = files.length === 1 ? `one file, ${formatSize(haveBytes)}` : `${counted(files.length, 'file')}, ${formatSize(haveBytes)}`;
  return {
    text: `What is here of it: ${amount}. Kept files stay where they are, and adding the title again finds them. Deleted files cannot be brought back; files that were there before Shoal stay in any case.`,
    keep: 'Remove, keep the files',
    remove: 'Remove and delete the files',
  };
}

/** Links in a text that was pasted or dropped: magnets, a bare info hash, or the address of a torrent file when there is nothing else. */
export function linksIn(text) {
  const lines = text
    .slice(0, TEXT_CHARACTERS_MAX)
    .trim()
    .split(/[\r\n]+|\s+(?=magnet:)/i);
  if (lines.length === 1 && INFO_HASH.test(lines[0])) return [`magnet:?xt=urn:btih:${lines[0]}`];
  if (lines.length === 1 && TORRENT_ADDRESS.test(lines[0])) return lines;
  // Names in links may have spaces that nobody escaped.
  const links = lines.map((line) => line.trim()).filter((line) => /^magnet:\?/i.test(line));
  return [...new Set(links)].slice(0, MAGNETS_MAX);
}

/** What is wrong with a text that is no link at all; null when the server should say it. */
export function faultOf(text) {
  if (/^(?:[0-9a-z]{33,39}|[0-9a-z]{41,64})$/i.test(text))
    return `This looks like an info hash, but it has ${text.length} characters; expected 40 hex digits (0-9, a-f) or 32 of base32 (a-z, 2-7).`;
  return /^(?:magnet:|https?:\/\/)/i.test(text) ? null : NO_LINK;
}

/** Whether a file may be a torrent by its name or type. */
export function looksLikeTorrent({ name, type }) {
  return /\.torrent$/i.test(name) || type === 'application/x-bittorrent';
}

/** The file that is meant when somebody says "play": the largest picture that moves, else the first sound. */
export function mainFile(files) {
  const films = files.filter(({ browser, kind }) => browser !== null && kind === 'video');
  if (films.length === 0) return files.find(({ browser, kind }) => browser !== null && kind === 'audio');
  return films.reduce((best, file) => (file.sizeBytes > best.sizeBytes ? file : best));
}

/** The file that comes after this one by itself: the next sound of an album. A film ends. */
export function fileAfter(files, file) {
  if (file.kind !== 'audio') return undefined;
  return files
    .slice(files.findIndex(({ index }) => index === file.index) + 1)
    .find(({ kind, browser }) => kind === 'audio' && browser !== null);
}

/** Subtitles to offer with a file: those that bear its name first; all of them where there is one film. */
export function subtitlesOf(files, file) {
  if (file.kind !== 'video') return [];
  const stem = stemOf(file.path);
  const all = files.filter(({ kind, browser }) => kind === 'subtitle' && browser !== null);
  const own = all.filter(({ path }) => baseOf(path).toLowerCase().startsWith(stem.toLowerCase()));
  const isOnlyFilm = files.filter(({ kind, sizeBytes }) => kind === 'video' && sizeBytes * 4 > file.sizeBytes).length === 1;
  const offered = isOnlyFilm ? [...own, ...all.filter((subtitle) => !own.includes(subtitle))] : own;
  return offered.slice(0, 20).map((subtitle) => ({
    source: subtitle.browser,
    language: languageOf(subtitle.path),
    label: nameOf(own.includes(subtitle) ? languageName(restOf(subtitle.path, stem)) : baseOf(subtitle.path), 'Subtitles', 40),
  }));
}

/** `en` of `Film.en.srt`; empty when the name does not tell. */
function languageOf(path) {
  return /[._-]([a-z]{2,3})(?:\.(?:forced|sdh|cc))?\.[a-z]+$/i.exec(baseOf(path))?.[1]?.toLowerCase() ?? '';
}

/** `English` for `en`; what is no code of a language stays as it is. */
function languageName(text) {
  if (!/^[a-z]{2,3}$/i.test(text)) return text;
  return new Intl.DisplayNames(['en'], { type: 'language' }).of(text.toLowerCase()) ?? text;
}

function baseOf(path) {
  return path.slice(path.lastIndexOf('/') + 1);
}

function stemOf(path) {
  return baseOf(path).replace(/\.[^.]*$/, '');
}

/** What a subtitle's name has beyond that of its film. */
function restOf(path, stem) {
  return stemOf(path)
    .slice(stem.length)
    .replace(/^[._ -]+/, '');
}

/** An address that a shell takes as one word between double quotes. */
export function shellAddress(path, origin) {
  const escaped = { "'": '%27', '!': '%21', '(': '%28', ')': '%29', $: '%24', '`': '%60', '\\': '%5C' };
  return new URL(path, origin).href.replace(/['!()$`\\]/g, (character) => escaped[character]);
}
