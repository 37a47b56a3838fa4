/**
 * Everything one RTMP session sends: answers at once, media as fast as the other side reads.
 *
 * The host writes without looking (peers sheet H4, H12). Here all writes of one turn of the event loop go out together, and a player that
 * does not keep up loses frames until the next key frame for which there is room, so that memory stays bounded and the picture whole.
 */
import type { Socket } from 'node:net';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { AUDIO, classifyTag, type FlvTag, SCRIPT, VIDEO } from '../../media/flv.js';
import type { HostBroadcast } from './node-media-server.js';

export class RtmpOutput {
  readonly #socket: Socket;
  readonly #queueBytesMax: Bytes;
  #corked = false;
  #closed = false;
  #broadcast: HostBroadcast | undefined;
  #joining = false;
  #skipping = true;
  #headersMissed = false;
  #overSinceMs: Milliseconds | undefined;

  constructor(socket: Socket, queueBytesMax: Bytes) {
    this.#socket = socket;
    this.#queueBytesMax = queueBytesMax;
  }

  /** True while the other side has not taken what it asked for. */
  get isOver(): boolean {
    return this.#socket.writableLength > this.#queueBytesMax;
  }

  /** Sends bytes as they are. */
  write(bytes: Uint8Array): void {
    if (this.#closed || this.#socket.destroyed) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  /** Nothing is sent after this; what is queued still goes out, then the stream ends. */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.end();
  }

  /**
   * Starts media from `broadcast`. `join` makes the host send what it keeps for a new player: that may pass the limit once, because its
   * buffers are shared by all players and its size is bounded.
   */
  play(broadcast: HostBroadcast, join: () => void): void {
    this.#broadcast = broadcast;
    this.#joining = true;
    join();
    this.#joining = false;
  }

  /** Sends one whole message of the host, or leaves it out. */
  sendMedia(message: Buffer, nowMs: Milliseconds): void {
    const tag = tagOfMessage(message);
    if (tag === undefined) return;
    const { kind, key } = classifyTag(tag);
    if (!this.#joining && this.isOver) {
      this.#overSinceMs ??= nowMs;
      this.#skipping = true;
      this.#headersMissed ||= kind === 'header' || kind === 'metadata';
      return;
    }
    if (kind === 'frame' && this.#skipping) {
      if (!key && !(tag.type === AUDIO && !this.#hasVideo())) return;
      this.#resume();
    }
    this.write(message);
  }

  /** For how long the queue has been over its limit. */
  overMs(nowMs: Milliseconds): Milliseconds {
    if (!this.isOver) this.#overSinceMs = undefined;
    return this.#overSinceMs === undefined ? 0 : nowMs - this.#overSinceMs;
  }

  #resume(): void {
    this.#skipping = false;
    if (!this.#headersMissed) return;
    this.#headersMissed = false;
    const broadcast = this.#broadcast;
    for (const header of [broadcast?.rtmpMetaData, broadcast?.rtmpAudioHeader, broadcast?.rtmpVideoHeader]) {
      if (header) this.write(header);
    }
  }

  #hasVideo(): boolean {
    return Boolean(this.#broadcast?.rtmpVideoHeader ?? this.#broadcast?.rtmpGopCache);
  }
}

/** The host's messages start with a format-0 chunk header on a one-byte chunk stream; enough of the body follows in one piece to sort it. */
function tagOfMessage(message: Buffer): FlvTag | undefined {
  const type = message[7];
  if (type !== AUDIO && type !== VIDEO && type !== SCRIPT) return undefined;
  const isExtended = message.readUIntBE(1, 3) === 0xffffff;
  return { type, timestampMs: 0, body: message.subarray(isExtended ? 16 : 12) };
}
