/**
 * The shape of a title as its session sees it: where its files lie, and how much of each end is fetched early.
 *
 * MP4 mostly has its index behind the media, in one piece that is of no use in parts: some six thousandths of a film of usual length. The
 * indexes of other containers are small, or a player does without.
 */
import type { Bytes } from '../kernel/units.js';
import { contentTypeOf } from './content-type.js';
import type { Metainfo } from './metainfo.js';
import type { TitleShape } from './title-protocol.js';

/** What all other files have: headers, cues, tags. */
const TAIL_BYTES: Bytes = 65_536;
const INDEX_SHARE = 1 / 128;
/** The index of four hours. */
const INDEX_BYTES_MAX: Bytes = 4 * 1024 * 1024;
const INDEX_LAST = ['video/mp4', 'video/quicktime', 'audio/mp4', 'video/3gpp', 'video/3gpp2'];

export function shapeOf(
  metainfo: Pick<Metainfo, 'pieceCount' | 'pieceLengthBytes' | 'totalBytes' | 'files' | 'name' | 'isSingleFile'>,
): TitleShape {
  const { pieceCount, pieceLengthBytes, totalBytes, name, isSingleFile } = metainfo;
  const files = metainfo.files.map(({ path, offsetBytes, lengthBytes, isPad }) => {
    const fileName = isSingleFile ? name : (path.at(-1) ?? '');
    return { offsetBytes, lengthBytes, isPad, tailBytes: tailBytesOf(fileName, lengthBytes) };
  });
  return { pieceCount, pieceLengthBytes, totalBytes, files };
}

function tailBytesOf(name: string, lengthBytes: Bytes): Bytes {
  if (!INDEX_LAST.includes(contentTypeOf(name))) return TAIL_BYTES;
  return Math.min(INDEX_BYTES_MAX, Math.max(TAIL_BYTES, Math.ceil(lengthBytes * INDEX_SHARE)));
}
