/**
 * What a file of a title is called in HTTP, by its name's ending.
 *
 * An explicit list of media and nothing else, rather than a package that knows everything: a title comes from strangers and is served
 * from the same origin as our own page, so what a browser would run or render (HTML, SVG, scripts, styles, PDF) is handed out as plain
 * bytes. Answers go with `X-Content-Type-Options: nosniff`.
 */

/** `video` and `audio` can be played, `subtitle` shown with them, `picture` shown; `other` is a download. */
export type MediaKind = 'video' | 'audio' | 'subtitle' | 'picture' | 'other';

const OTHER = 'application/octet-stream';

const TYPES: Readonly<Record<string, string>> = {
  mp4: 'video/mp4',
  m4v: 'video/mp4',
  mkv: 'video/x-matroska',
  webm: 'video/webm',
  mov: 'video/quicktime',
  avi: 'video/x-msvideo',
  divx: 'video/x-msvideo',
  wmv: 'video/x-ms-wmv',
  asf: 'video/x-ms-asf',
  flv: 'video/x-flv',
  f4v: 'video/mp4',
  ts: 'video/mp2t',
  m2ts: 'video/mp2t',
  mts: 'video/mp2t',
  mpg: 'video/mpeg',
  mpeg: 'video/mpeg',
  mpe: 'video/mpeg',
  vob: 'video/mpeg',
  m2v: 'video/mpeg',
  ogv: 'video/ogg',
  ogm: 'video/ogg',
  '3gp': 'video/3gpp',
  '3g2': 'video/3gpp2',
  rm: 'application/vnd.rn-realmedia',
  rmvb: 'application/vnd.rn-realmedia-vbr',
  mp3: 'audio/mpeg',
  mp2: 'audio/mpeg',
  m4a: 'audio/mp4',
  m4b: 'audio/mp4',
  aac: 'audio/aac',
  ogg: 'audio/ogg',
  oga: 'audio/ogg',
  opus: 'audio/ogg',
  flac: 'audio/flac',
  wav: 'audio/wav',
  wma: 'audio/x-ms-wma',
  mka: 'audio/x-matroska',
  weba: 'audio/webm',
  ac3: 'audio/ac3',
  eac3: 'audio/eac3',
  dts: 'audio/vnd.dts',
  ape: 'audio/x-ape',
  aif: 'audio/aiff',
  aiff: 'audio/aiff',
  srt: 'application/x-subrip',
  vtt: 'text/vtt; charset=utf-8',
  ass: 'text/x-ssa',
  ssa: 'text/x-ssa',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  webp: 'image/webp',
  txt: 'text/plain; charset=utf-8',
  nfo: 'text/plain; charset=utf-8',
};

/** Kinds that the type alone does not tell. */
const KINDS: Readonly<Record<string, MediaKind>> = {
  srt: 'subtitle',
  vtt: 'subtitle',
  ass: 'subtitle',
  ssa: 'subtitle',
  rm: 'video',
  rmvb: 'video',
};

/** The value of `Content-Type` for a file of that name; plain bytes for what is not in the list. */
export function contentTypeOf(name: string): string {
  return lookUp(TYPES, extensionOf(name)) ?? OTHER;
}

export function mediaKindOf(name: string): MediaKind {
  const extension = extensionOf(name);
  const known = lookUp(KINDS, extension);
  if (known !== undefined) return known;
  const type = lookUp(TYPES, extension) ?? OTHER;
  if (type.startsWith('video/')) return 'video';
  if (type.startsWith('audio/')) return 'audio';
  return type.startsWith('image/') ? 'picture' : 'other';
}

/** Letters and digits after the last dot, in lower case; empty when there are none. */
export function extensionOf(name: string): string {
  return /[^.]\.([A-Za-z0-9]{1,8})$/.exec(name)?.[1]?.toLowerCase() ?? '';
}

function lookUp<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
