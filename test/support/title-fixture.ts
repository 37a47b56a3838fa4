/** Titles to publish in tests and measurements: random bytes by a seed, a folder of awkward files, and films that ffmpeg makes once. */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../../.cache/films/', import.meta.url));
const CHUNK_BYTES = 1_048_576;
/** Ten minutes are what the films must have at least. */
const FILM_SECONDS = 605;
const VIDEO_BITS_PER_SECOND = 1_100_000;
const AUDIO_BITS_PER_SECOND = 96_000;
const FILM_MAKING_MS = 600_000;

/** `faststart` has the index (moov) in front of the media, `mp4` behind it. */
export type FilmKind = 'mp4' | 'faststart' | 'mkv';

export interface Film {
  readonly path: string;
  readonly lengthBytes: number;
  readonly seconds: number;
}

/** Writes a file of bytes that nothing can compress; the same for the same seed. */
export function writeRandomFile(path: string, lengthBytes: number, seed: number): void {
  const stream = createCipheriv('aes-128-ctr', createHash('md5').update(`title ${seed}`).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'w');
  for (let doneBytes = 0; doneBytes < lengthBytes; doneBytes += CHUNK_BYTES) {
    writeSync(file, stream.update(zeros.subarray(0, Math.min(CHUNK_BYTES, lengthBytes - doneBytes))));
  }
  closeSync(file);
}

/**
 * Makes a folder title in `parent` and gives its path: files below the length of a piece, one over several pieces, an empty one, names in several scripts and
 * with spaces, folders within folders. About `bulkBytes` in all. Some names have characters that mean something else in a URL, unless `isMild`.
 */
export function writeFolderTitle(parent: string, bulkBytes = 3_000_000, seed = 1, isMild = false): string {
  const root = join(parent, 'Überraschung 星 & co');
  const files: readonly (readonly [path: string, lengthBytes: number])[] = [
    ['01 Début.bin', 70_001],
    ['empty.txt', 0],
    ['tiny.nfo', 17],
    [isMild ? 'второй/часть 2.bin' : 'второй/часть #2 100%.bin', bulkBytes],
    ['второй/空.dat', 0],
    ['zum Schluß/last+one.bin', 300_007],
  ];
  for (const [index, [path, lengthBytes]] of files.entries()) writeRandomFile(join(root, path), lengthBytes, seed * 100 + index);
  return root;
}

/** A film of ten minutes, 640x360, about 1.2 Mbit/s, with a key frame every two seconds; the first call of a kind takes about a minute of work. */
export function film(kind: FilmKind): Film {
  const words = filmWords(kind);
  const key = createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 16);
  const path = join(CACHE, `film-${kind}-${key}${kind === 'mkv' ? '.mkv' : '.mp4'}`);
  if (!existsSync(path)) makeFilm(path, kind, words);
  return { path, lengthBytes: statSync(path).size, seconds: FILM_SECONDS };
}

/** The picture is coded once; the other kinds are the same tracks in another container. */
function makeFilm(path: string, kind: FilmKind, words: readonly string[]): void {
  const source = kind === 'mp4' ? SOURCE_WORDS : ['-i', film('mp4').path];
  const draft = join(CACHE, `draft-${process.pid}${extname(path)}`);
  mkdirSync(CACHE, { recursive: true });
  try {
    execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...source, ...words, draft], {
      timeout: FILM_MAKING_MS,
      stdio: ['ignore', 2, 2],
    });
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

const SOURCE_WORDS = [
  ...['-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=24:duration=${FILM_SECONDS}`],
  ...['-f', 'lavfi', '-i', `anoisesrc=sample_rate=44100:amplitude=0.1:seed=1:duration=${FILM_SECONDS}`],
];

function filmWords(kind: FilmKind): readonly string[] {
  if (kind === 'mkv') return ['-map', '0', '-c', 'copy', '-cluster_time_limit', '2000', '-fflags', '+bitexact'];
  if (kind === 'faststart') return ['-map', '0', '-c', 'copy', '-movflags', '+faststart', '-fflags', '+bitexact'];
  const rate = String(VIDEO_BITS_PER_SECOND);
  return [
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '48', '-keyint_min', '48', '-sc_threshold', '0'],
    ...['-b:v', rate, '-minrate', rate, '-maxrate', rate, '-bufsize', rate, '-x264-params', 'nal-hrd=cbr:threads=1'],
    ...['-c:a', 'aac', '-b:a', String(AUDIO_BITS_PER_SECOND), '-fflags', '+bitexact'],
  ];
}

/** How the tree at `actual` differs from the one at `expected`; empty when every file is there with the same bytes and nothing else. */
export function differences(expected: string, actual: string): readonly string[] {
  if (!existsSync(actual)) return [`${actual} is not there`];
  const wanted = filesOf(expected);
  const got = filesOf(actual);
  const lacking = wanted.filter((path) => !got.includes(path)).map((path) => `${path} is missing`);
  const surplus = got.filter((path) => !wanted.includes(path)).map((path) => `${path} should not be there`);
  const changed = wanted.filter((path) => got.includes(path) && !sameBytes(join(expected, path), join(actual, path)));
  return [...lacking, ...surplus, ...changed.map((path) => `${path || actual} has other bytes`)];
}

/** Paths below `root`; of a file, its own empty one. */
function filesOf(root: string): string[] {
  if (!statSync(root).isDirectory()) return [''];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted();
}

function sameBytes(one: string, other: string): boolean {
  if (statSync(one).size !== statSync(other).size) return false;
  const files = [openSync(one, 'r'), openSync(other, 'r')];
  const [left, right] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)];
  try {
    for (;;) {
      const readBytes = readSync(files[0] as number, left);
      if (readBytes !== readSync(files[1] as number, right)) return false;
      if (readBytes === 0) return true;
      if (!left.subarray(0, readBytes).equals(right.subarray(0, readBytes))) return false;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Writes a torrent where a client can be given its path. */
export function writeTorrent(folder: string, name: string, bytes: Uint8Array): string {
  const path = join(folder, `${name}.torrent`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, bytes);
  return path;
}
