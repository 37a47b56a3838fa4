/**
 * How a file reaches a browser: as it is, copied into another container, or encoded anew; and where its segments begin.
 *
 * Pure: takes what ffprobe says and the key frames that the file's own index names. Video is copied only when the index is there, because a
 * segment must begin with a key frame and nobody should have to download a whole film to find them.
 */
import { Malformed } from '../kernel/errors.js';

/** What ffprobe tells of a file, as far as it is asked. */
export interface MediaDescription {
  /** Seconds. */
  readonly durationS: number;
  /** ffprobe's name, such as `matroska,webm`. */
  readonly container: string;
  readonly video: VideoDescription | undefined;
  /** Codec of the first sound track, such as `ac3`. */
  readonly audioCodec: string | undefined;
}

export interface VideoDescription {
  readonly codec: string;
  /** `yuv420p` for what every browser decodes. */
  readonly pixelFormat: string;
}

/** How one track gets into the segments. */
export type TrackPlan = 'copy' | 'encode' | 'none';

export interface ConversionPlan {
  /** Browsers play the file itself, container and all. */
  readonly isDirect: boolean;
  readonly video: TrackPlan;
  readonly audio: TrackPlan;
  /** Where segments begin, ascending from 0, and as the last one where the file ends. */
  readonly boundariesS: readonly number[];
}

/**
 * Length of a segment; one that is copied goes on to the next key frame. Short: a viewer who seeks waits for a whole one. On a line of 1.5 times the bit rate a seek took 6.2 s with six seconds, and takes 3.5 s with two.
 */
export const SEGMENT_S = 2;
/** A copied segment goes on to the next key frame the index names; an index with wider gaps is of no use. */
const SEGMENT_S_MAX = 20;
/** A day. What claims to be longer is broken or an attack on the playlist. */
const DURATION_S_MAX = 86_400;
/** A rest shorter than this joins the segment before it. */
const REST_S_MIN = 1;

const BROWSER_VIDEO = ['h264', 'vp8', 'vp9', 'av1'];
const BROWSER_AUDIO = ['aac', 'mp3', 'opus', 'vorbis', 'flac'];
/** What fragmented MP4 may hold so that Media Source Extensions of all browsers take it. */
const SEGMENT_VIDEO = ['h264', 'av1', 'vp9'];
const SEGMENT_AUDIO = ['aac', 'mp3', 'opus', 'flac'];
const PIXEL_FORMATS = ['yuv420p', 'yuvj420p'];
const DIRECT_CONTAINERS = ['mp4', 'mov', 'webm', 'ogg', 'mp3', 'flac', 'wav'];

/**
 * @param keyTimesS key frames by the file's index, ascending; empty when it has none.
 * @returns Malformed, in words for a person, when there is nothing to play or no length to cut by.
 */
export function planConversion(media: MediaDescription, keyTimesS: readonly number[]): ConversionPlan | Malformed {
  const { durationS, video, audioCodec } = media;
  if (video === undefined && audioCodec === undefined) return new Malformed('This file has neither picture nor sound.');
  if (!(durationS > 0 && durationS <= DURATION_S_MAX)) return new Malformed('This file does not tell its length, so it cannot be cut.');
  const copied = isSegmentable(video) ? copyBoundaries(keyTimesS, durationS) : undefined;
  return {
    isDirect: isDirect(media),
    video: video === undefined ? 'none' : copied === undefined ? 'encode' : 'copy',
    audio: audioCodec === undefined ? 'none' : SEGMENT_AUDIO.includes(audioCodec) ? 'copy' : 'encode',
    boundariesS: copied ?? evenBoundaries(durationS),
  };
}

/** Whether key times are worth looking up: they matter only where video may be copied. */
export function isSegmentable(video: VideoDescription | undefined): boolean {
  return video !== undefined && SEGMENT_VIDEO.includes(video.codec) && PIXEL_FORMATS.includes(video.pixelFormat);
}

/** Matroska counts as WebM only with the codecs of WebM; ffprobe has one name for both. */
function isDirect({ container, video, audioCodec }: MediaDescription): boolean {
  const names = container.split(',');
  const plays =
    (video === undefined || (BROWSER_VIDEO.includes(video.codec) && PIXEL_FORMATS.includes(video.pixelFormat))) &&
    (audioCodec === undefined || BROWSER_AUDIO.includes(audioCodec) || (names.includes('wav') && audioCodec.startsWith('pcm_')));
  if (!plays) return false;
  if (names.includes('matroska')) return isWebm(video?.codec, audioCodec);
  return names.some((name) => DIRECT_CONTAINERS.includes(name));
}

function isWebm(video: string | undefined, audio: string | undefined): boolean {
  return (video === undefined || ['vp8', 'vp9', 'av1'].includes(video)) && (audio === undefined || ['opus', 'vorbis'].includes(audio));
}

function evenBoundaries(durationS: number): readonly number[] {
  const count = Math.max(1, Math.floor((durationS - REST_S_MIN) / SEGMENT_S) + 1);
  return [...Array.from({ length: count }, (_, index) => index * SEGMENT_S), durationS];
}

/** The first key frame at least `SEGMENT_S` after each boundary; undefined when the index leaves too wide a gap. */
function copyBoundaries(keyTimesS: readonly number[], durationS: number): readonly number[] | undefined {
  if (keyTimesS.length === 0) return undefined;
  const boundariesS = [0];
  for (const timeS of keyTimesS) {
    const lastS = boundariesS.at(-1) ?? 0;
    if (timeS - lastS >= SEGMENT_S && durationS - timeS >= REST_S_MIN) boundariesS.push(timeS);
  }
  boundariesS.push(durationS);
  return boundariesS.every((timeS, index) => index === 0 || timeS - (boundariesS[index - 1] ?? 0) <= SEGMENT_S_MAX)
    ? boundariesS
    : undefined;
}
