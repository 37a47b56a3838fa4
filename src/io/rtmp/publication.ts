/**
 * One publisher's time on a stream path of the host: from the moment the path is free until the publisher leaves.
 *
 * Whoever publishes (an RTMP client, or a viewer's own relay) goes through here, so that what the host keeps for late players is sound:
 * metadata that decodes, the right headers, a group of pictures of bounded size that starts at a key frame. The host's own sorting of
 * tags takes unknown Enhanced RTMP codecs for audio headers and an end of sequence for a key frame; ours replaces it.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { decodeAmf0 } from '../../media/amf0.js';
import { AUDIO, classifyTag, type FlvTag, SCRIPT, withoutSetDataFrame } from '../../media/flv.js';
import { createPacket, type HostBroadcast, type HostSession, openBroadcast } from './node-media-server.js';

/** How much of a group of pictures is kept for players that join: 16 MiB is 12 s at 10 Mbit/s. The host itself counts tags only. */
const GOP_CACHE_BYTES_MAX: Bytes = 16 * 1024 * 1024;
const AUDIO_HEADER = 0;
const AUDIO_FRAME = 1;
const VIDEO_HEADER = 2;
const KEY_FRAME = 3;
const OTHER_FRAME = 4;
const METADATA = 5;
/** Passed on to players and kept by nobody. */
const PASSING = 6;
/** Enhanced RTMP audio, packet type 4: channel layout. It is a header to a relay, but must not replace the codec's in the host. */
const MULTICHANNEL_CONFIG = 0x94;

export class Publication {
  readonly #broadcast: HostBroadcast;
  readonly #session: HostSession;
  #gopBytes: Bytes = 0;
  #ended = false;

  /** Takes the path for `session`, or returns `undefined` when it has a publisher. */
  static begin(streamPath: string, session: HostSession): Publication | undefined {
    const broadcast = openBroadcast(streamPath);
    // The host announces a publisher before it looks for another one (peers sheet H7), so look first.
    if (broadcast.publisher !== null) return undefined;
    const [, app = '', name = ''] = streamPath.split('/');
    Object.assign(session, { streamPath, streamApp: app, streamName: name, streamQuery: {}, isPublisher: true });
    if (broadcast.postPublish(session) !== null || broadcast.publisher !== session) {
      broadcast._destroyIfEmpty();
      return undefined;
    }
    return new Publication(broadcast, session);
  }

  private constructor(broadcast: HostBroadcast, session: HostSession) {
    this.#broadcast = broadcast;
    this.#session = session;
  }

  /** Sends a tag to the path's players. Never throws; a tag without content is dropped. */
  push(tag: FlvTag): void {
    if (this.#ended || this.#broadcast.publisher !== this.#session) return;
    const body = tag.type === SCRIPT ? withoutSetDataFrame(tag.body) : tag.body;
    const flags = hostFlags(tag, body);
    if (flags === undefined || body.length === 0) return;
    const packet = createPacket(tag.type, tag.timestampMs, body, flags);
    try {
      this.#broadcast.broadcastMessage(packet);
    } catch {
      // The host decodes metadata itself and knows fewer types than there are; it throws before it has sent anything.
      if (flags === METADATA) this.#broadcast.broadcastMessage({ ...packet, flags: PASSING });
    }
    this.#boundGop(flags, body.length);
  }

  /** Frees the path at once. Players stay, and wait for the next publisher. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#broadcast.publisher !== this.#session) return;
    this.#broadcast._finishPublish();
    this.#dropGop();
  }

  /** The host goes on filling its cache after it has emptied it, so that a player would start between key frames: take it away instead. */
  #boundGop(flags: number, bodyBytes: Bytes): void {
    this.#gopBytes = (flags === KEY_FRAME ? 0 : this.#gopBytes) + bodyBytes;
    const cache = this.#broadcast.rtmpGopCache;
    if (this.#gopBytes > GOP_CACHE_BYTES_MAX || cache?.size === 0) this.#dropGop();
  }

  #dropGop(): void {
    this.#broadcast.flvGopCache = null;
    this.#broadcast.rtmpGopCache = null;
  }
}

function hostFlags(tag: FlvTag, body: Uint8Array): number | undefined {
  if (tag.type === SCRIPT) return isMetadata(body) ? METADATA : PASSING;
  const { kind, key } = classifyTag(tag);
  const isAudio = tag.type === AUDIO;
  if (kind === 'empty') return undefined;
  if (kind === 'header' && isAudio) return body[0] === MULTICHANNEL_CONFIG ? PASSING : AUDIO_HEADER;
  if (kind === 'header') return VIDEO_HEADER;
  if (kind !== 'frame') return PASSING;
  if (isAudio) return AUDIO_FRAME;
  return key ? KEY_FRAME : OTHER_FRAME;
}

function isMetadata(body: Uint8Array): boolean {
  const values = decodeAmf0(body);
  return !(values instanceof Malformed) && values[0] === 'onMetaData' && values[1] instanceof Map;
}
