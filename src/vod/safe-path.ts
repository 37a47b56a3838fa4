/**
 * Names of foreign torrents made safe to be files: nothing climbs out of its folder, and no two files of a title are the same file.
 *
 * A component loses its path separators, control characters and those that turn the direction of writing (each becomes `_`), trailing
 * dots and spaces, and what exceeds 255 bytes of UTF-8, keeping its extension; `.`, `..` and nothing become `_`; the names of devices
 * get a `_` in front. Names that some file system would take for one (case, or Unicode form) are numbered in the order of the torrent:
 * `a.mkv`, `A (2).mkv`. The same torrent gives the same names everywhere. Characters that Windows alone forbids are kept: titles have them.
 *
 * Source: BEP 52 ("sanitise"), blog.libtorrent.org/2014/12/filenames, "Naming Files, Paths, and Namespaces" of Microsoft.
 */
import { Malformed } from '../kernel/errors.js';

/** Longest name in ext4, NTFS (there in UTF-16 units) and APFS, in bytes of UTF-8. */
export const COMPONENT_BYTES_MAX = 255;
/** Folders within each other, the file included. Honest titles have three or four; libtorrent stops at 100. */
export const PATH_DEPTH_MAX = 32;
/** Bytes of a path below the title's folder, separators included. Linux takes 4096 for a whole path; the rest is for the folder's own. */
export const PATH_BYTES_MAX = 3072;

/** An extension longer than this is taken for a part of the name. */
const EXTENSION_BYTES_MAX = 20;
/** Room for ` (1234567)`. */
const NUMBER_BYTES_MAX = 10;
const STAND_IN = '_';
/** Separators, control characters, lone surrogates, line separators, and the controls of direction (Unicode TR 9). */
const UNSAFE_CHARACTERS = /[/\\\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const DEVICE_NAME = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|$)/i;

const utf8 = new TextEncoder();
const lenientUtf8 = new TextDecoder();

/** One component that is safe anywhere; never empty. */
export function safeComponent(name: string): string {
  const plain = withoutTail(name.replace(UNSAFE_CHARACTERS, STAND_IN));
  if (plain === '') return STAND_IN;
  const free = DEVICE_NAME.test(plain) ? `${STAND_IN}${plain}` : plain;
  return shortened(free, COMPONENT_BYTES_MAX);
}

/** `a.mkv` and 2: `a (2).mkv`. The component is a safe one, and so is what comes out. */
export function numberedComponent(component: string, number: number): string {
  const { stem, extension } = divided(shortened(component, COMPONENT_BYTES_MAX - NUMBER_BYTES_MAX));
  return `${stem} (${number})${extension}`;
}

/** The components of one file, each safe. Empty, too deep and too long paths are refused. */
export function safePath(components: readonly string[]): readonly string[] | Malformed {
  if (components.length === 0) return new Malformed('the path is empty; expected at least a file name');
  if (components.length > PATH_DEPTH_MAX) {
    return new Malformed(`the path is ${components.length} folders deep; at most ${PATH_DEPTH_MAX} are accepted`);
  }
  const path = components.map(safeComponent);
  const bytes = path.reduce((sum, component) => sum + utf8.encode(component).length + 1, -1);
  return bytes <= PATH_BYTES_MAX ? path : new Malformed(`the path has ${bytes} bytes; at most ${PATH_BYTES_MAX} are accepted`);
}

/** One folder while names are given out. */
interface Folder {
  /** Folded names of files and folders here. */
  readonly taken: Set<string>;
  /** By the folded name that the torrent has, which after a collision differs from the name on disk. */
  readonly folders: Map<string, { readonly name: string; readonly folder: Folder }>;
  /** The next number to try, by the folded name it goes into. Without it a title of equal names would take quadratic time. */
  readonly nextNumbers: Map<string, number>;
}

/** Gives the files of one title their names, first come, first served. */
export class PathNames {
  readonly #root = makeFolder();

  /** A path that no file or folder named before has, on any file system. `path` comes from `safePath`. */
  claim(path: readonly string[]): readonly string[] {
    const names: string[] = [];
    let folder = this.#root;
    path.forEach((component, index) => {
      if (index === path.length - 1) names.push(claimName(folder, component));
      else {
        const entry = enter(folder, component);
        names.push(entry.name);
        folder = entry.folder;
      }
    });
    return names;
  }
}

function makeFolder(): Folder {
  return { taken: new Set(), folders: new Map(), nextNumbers: new Map() };
}

function enter(parent: Folder, component: string): { readonly name: string; readonly folder: Folder } {
  const key = folded(component);
  const known = parent.folders.get(key);
  if (known !== undefined) return known;
  const entry = { name: claimName(parent, component), folder: makeFolder() };
  parent.folders.set(key, entry);
  return entry;
}

function claimName(folder: Folder, component: string): string {
  const key = folded(component);
  if (!folder.taken.has(key)) {
    folder.taken.add(key);
    return component;
  }
  const { stem, extension } = divided(shortened(component, COMPONENT_BYTES_MAX - NUMBER_BYTES_MAX));
  const counted = folded(stem + extension);
  for (let number = folder.nextNumbers.get(counted) ?? 2; ; number++) {
    const name = numberedComponent(component, number);
    if (folder.taken.has(folded(name))) continue;
    folder.taken.add(folded(name));
    folder.nextNumbers.set(counted, number + 1);
    return name;
  }
}

/** What names of one file have in common: composed form, and no case (through upper case, which also unites `ß` and `SS`). */
function folded(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');
}

function withoutTail(name: string): string {
  let end = name.length;
  while (end > 0 && (name[end - 1] === '.' || name[end - 1] === ' ')) end--;
  return name.slice(0, end);
}

/** Cuts the name before its extension, between characters. */
function shortened(name: string, bytesMax: number): string {
  if (utf8.encode(name).length <= bytesMax) return name;
  const { stem, extension } = divided(name);
  const room = bytesMax - utf8.encode(extension).length;
  // A character that is cut through decodes to one or more U+FFFD at the end.
  const cut = lenientUtf8.decode(utf8.encode(stem).subarray(0, room)).replace(/\ufffd+$/u, '');
  return `${withoutTail(cut) || STAND_IN}${extension}`;
}

function divided(name: string): { readonly stem: string; readonly extension: string } {
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 ? name.slice(dot) : '';
  return utf8.encode(extension).length <= EXTENSION_BYTES_MAX
    ? { stem: name.slice(0, name.length - extension.length), extension }
    : { stem: name, extension: '' };
}
