/**
 * What the client of a pulled source is told and can ask for: the contract of the MMSH, MMST, RTMP and HTTP-FLV clients and of `SourceLife`.
 *
 * A client is a pure core with one TCP connection at a time. It names its timers; scheduling a name again replaces the earlier one. After
 * `end`, `redirect` or `failed` it has closed its connection, cancelled its timers and stays silent.
 */
import type { Milliseconds } from '../kernel/units.js';
import type { AsfHeader } from '../media/asf-header.js';
import type { FlvTag } from '../media/flv.js';

/** `step`: the answer to a request. `progress`: the next packet. `header`: the new header after a stream change. `retry`: the back-off. */
export type SourceTimer = 'step' | 'progress' | 'header' | 'retry';

export type SourceInput =
  | { readonly kind: 'start' }
  /** The connection asked for stands. */
  | { readonly kind: 'opened'; readonly localHost: string; readonly localPort: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** The other side closed, the connection failed, or it never stood. Not said of connections that the core closed or replaced. */
  | { readonly kind: 'closed'; readonly detail: string }
  | { readonly kind: 'timer'; readonly timer: SourceTimer };

export type SourceEffect<Event = SourceEvent> =
  /**
   * Opens a new connection in place of the old one. `redirected`: the address came from a server, not from the operator. `secure`: over TLS, with
   * a certificate for `host`; `opened` comes when that is checked.
   */
  | {
      readonly kind: 'connect';
      readonly host: string;
      readonly port: number;
      readonly redirected: boolean;
      readonly secure: boolean;
    }
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'close' }
  | { readonly kind: 'schedule'; readonly timer: SourceTimer; readonly delayMs: Milliseconds }
  | { readonly kind: 'cancel'; readonly timer: SourceTimer }
  | { readonly kind: 'emit'; readonly event: Event };

export interface SourcePacket {
  readonly kind: 'packet';
  /** Number of the packet in the ASF file, 0 to 2^32 − 1: shared by all clients of the server, in MMSH and MMST alike. */
  readonly locationId: number;
  /** As received: padding neither added nor removed. */
  readonly payload: Uint8Array;
  /** Of this connection only: never part of a piece. */
  readonly afFlags: number;
  readonly incarnation: number;
}

export type SourceEvent =
  /** Whole ASF header: Header object and the first 50 bytes of the Data object. */
  | { readonly kind: 'header'; readonly header: Uint8Array; readonly media: AsfHeader }
  | SourcePacket
  /**
   * Audio, video or script data of an FLV source, in order of arrival. Its time is the raw one, untouched, for other publishers must make the same
   * windows of the same source.
   */
  | { readonly kind: 'tag'; readonly tag: FlvTag }
  /** The server lets us play; media may take its time. For `SourceLife` alone. */
  | { readonly kind: 'accepted' }
  /** The server says that its publisher has left, and keeps us connected. Said once until media comes again. */
  | { readonly kind: 'unpublished' }
  /** A new header follows, or numbering starts anew. */
  | { readonly kind: 'stream-change' }
  /** The source plays a file on demand, not a broadcast; said once, before the header. The caller may refuse it or pace it. */
  | { readonly kind: 'on-demand'; readonly detail: string }
  /** Something no honest server does, which was survived; each kind is said once. */
  | { readonly kind: 'oddity'; readonly detail: string }
  | { readonly kind: 'end'; readonly detail: string }
  | { readonly kind: 'redirect'; readonly url: string }
  /** `retry`: false when trying again is in vain until a person changes something. */
  | { readonly kind: 'failed'; readonly detail: string; readonly retry: boolean };

export interface SourceClientOptions {
  /** Whether the address came from a server, not from the operator. */
  readonly redirected?: boolean;
}

export interface SourceClient {
  handle(input: SourceInput, nowMs: Milliseconds): readonly SourceEffect[];
}

/** Each answer of the dialogue must come within this. */
export const STEP_MS: Milliseconds = 10_000;
/** Packets of an MMS source must arrive at least this often. */
export const PROGRESS_MS: Milliseconds = 15_000;
/** Audio or video of an FLV source must arrive at least this often, unless the server has said that its publisher is away. */
export const MEDIA_SILENCE_MS: Milliseconds = 10_000;
