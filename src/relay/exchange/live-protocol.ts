/**
 * What a live exchange can be told, what it reports, and the names of its timers; its messages stand in `live-message.ts`.
 */
import type { Effect } from '../../kernel/protocol.js';
import type { Bytes, Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { Gap } from '../../media/holed-window.js';
import type { Certificate } from './certificate.js';
import type { LiveMessage } from './live-message.js';
import type { Manifest, WindowContent } from './manifest.js';
import type { SecondStageCause } from './second-stage.js';

export type LiveCommand =
  /** A publisher's cutter has finished a window. */
  /** `confirm`: only once somebody else has announced the same content, or nobody has announced any for a moment. */
  | { readonly kind: 'publish'; readonly content: WindowContent; readonly confirm?: boolean }
  /** This publisher stands by: the swarm shows other content than its source, last seen in this window. Neighbours are told. */
  | { readonly kind: 'dissent'; readonly number: WindowNumber }
  /** A publisher begins to make windows, or ceases to. */
  | { readonly kind: 'on-air'; readonly onAir: boolean }
  /** A publisher wants to see this many of the newest windows of others. */
  | { readonly kind: 'survey'; readonly count: number }
  /** The source's script metadata, without `@setDataFrame`. */
  | { readonly kind: 'describe'; readonly metadata: Uint8Array }
  /** The owner's list of withdrawn keys: made by this process, or kept by an earlier one. */
  | { readonly kind: 'revoke'; readonly bytes: Uint8Array }
  /** A publisher's certificate from the next window on; null: it signs as the owner. */
  | { readonly kind: 'authorise'; readonly certificate: Certificate | null }
  /** Begin: start the timers. */
  | { readonly kind: 'start' };

export type LiveEvent =
  /**
   * The next window of the stream, verified. Its `discontinuity` is also set where the stream goes over to another publisher's content.
   * `gaps`: what was missing of the window as it was signed, as a rule nothing. `bytes` and key marks are then what its container's mender made of
   * it, and `lossOffsets` says where in `bytes` something is missing right before.
   */
  | {
      readonly kind: 'window';
      readonly manifest: Manifest;
      readonly bytes: Uint8Array;
      readonly gaps: readonly Gap[];
      readonly lossOffsets: readonly Bytes[];
      readonly delayMs: Milliseconds;
      readonly publisher: Uint8Array;
    }
  /** Windows that could not be had any more; the stream goes on at a key frame. */
  | { readonly kind: 'skipped'; readonly from: WindowNumber; readonly to: WindowNumber }
  /** New script metadata, verified. */
  | { readonly kind: 'metadata'; readonly metadata: Uint8Array }
  /** A sample that was asked for, verified. */
  | { readonly kind: 'surveyed'; readonly manifest: Manifest; readonly bytes: Uint8Array; readonly publisher: Uint8Array }
  /** To a publisher: somebody claims other content under its numbers, or other numbers. `published` false: for a window that was to be confirmed. */
  | { readonly kind: 'doubt'; readonly number: WindowNumber; readonly published: boolean }
  /** Two authorised publishers have signed different contents under one number; the first is the one that is followed here. Public keys. */
  | { readonly kind: 'conflict'; readonly number: WindowNumber; readonly publishers: readonly [Uint8Array, Uint8Array] }
  /** Windows are refused because of their certificate's dates. Said once: it may be the clock of this machine that is wrong. */
  | { readonly kind: 'clock-doubt'; readonly certificate: Certificate; readonly wallMs: Milliseconds }
  /** The neighbourhood failed this viewer: it looks for others. */
  | { readonly kind: 'second-stage'; readonly cause: SecondStageCause }
  /** A newer list of withdrawn keys, verified: worth keeping for the next run. */
  | { readonly kind: 'revocations'; readonly bytes: Uint8Array };

export type LiveTimer = 'tick' | 'map' | 'news' | 'upload' | `reveal:${number}` | `confirm:${number}` | `request:${number}:${number}`;

export type LiveEffect = Effect<LiveMessage, LiveEvent, LiveTimer>;
