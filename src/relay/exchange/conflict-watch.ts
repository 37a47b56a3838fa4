/**
 * Notices that two authorised publishers show different content under one number, and proves it by their signatures.
 *
 * A map that names another content is hearsay; the manifest behind it is asked for, and only a valid signature makes a conflict of it. Asked now and
 * then, not at every window: two publishers that differ do so twice a second.
 */
import { copyOf, sameBytes } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { ConnectionId, Milliseconds, WindowNumber } from '../../kernel/units.js';
import { DISSENT_DOMAIN, decodeDissent, signDissent } from './dissent.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import type { WindowAvailability } from './live-message.js';
import { decodeManifest } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { isAdmitted, noteRefused } from './offences.js';

/** Between two requests for evidence. */
const EVIDENCE_STEP_MS: Milliseconds = 2_000;
/** Between two words to a publisher that somebody differs. */
const DOUBT_STEP_MS: Milliseconds = 1_000;
/** How far others may be ahead of a publisher for so long without being on another numbering. */
const AHEAD_MS: Milliseconds = 4_000;

export class ConflictWatch {
  readonly #context: ExchangeContext;
  readonly #lineage: Lineage;
  readonly #onLeft: (publisher: Uint8Array) => void;
  #askedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #asked: { readonly number: WindowNumber; readonly from: ConnectionId } | undefined;
  #doubtedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** The windows that this publisher has made without a gap: the first and the last. What others made while it was away is no wonder. */
  #firstOwn: WindowNumber | undefined;
  #lastOwn: WindowNumber | undefined;

  /** `onLeft`: another publisher is followed from now on than this one. */
  constructor(context: ExchangeContext, lineage: Lineage, onLeft: (publisher: Uint8Array) => void) {
    this.#context = context;
    this.#lineage = lineage;
    this.#onLeft = onLeft;
  }

  notePublished(number: WindowNumber): void {
    if (this.#firstOwn === undefined || number !== (this.#lastOwn ?? number) + 1) this.#firstOwn = number;
    this.#lastOwn = number;
    for (const neighbour of this.#context.neighbours.values())
      if (neighbour.ahead && number >= neighbour.ahead.number) neighbour.ahead = undefined;
  }

  onMap(neighbour: Neighbour, windows: readonly WindowAvailability[]): void {
    for (const { number, version } of windows) {
      if (version === undefined) continue;
      const own = this.#context.buffer.get(number);
      if (own && own.version !== version) this.#onRival(neighbour, number);
      else if (!own && this.#context.isPublisher && neighbour.trusted) this.#onUnknown(neighbour, number);
    }
  }

  /** Whether the manifest was asked for here; a valid one of other content is reported. */
  takes(neighbour: Neighbour, bytes: Uint8Array): boolean {
    const asked = this.#asked;
    if (asked?.from !== neighbour.id) return false;
    const { parameters, buffer } = this.#context;
    const manifest = decodeManifest(copyOf(bytes), parameters.pieceBytes);
    if (manifest instanceof Malformed || manifest.number !== asked.number) return false;
    this.#asked = undefined;
    const own = buffer.get(manifest.number);
    if (!isAdmitted(this.#context, neighbour, manifest) || !own || own.version === manifest.version) return true;
    neighbour.map.noteVersion(manifest.number, manifest.version);
    const publishers = [this.#context.signerOf(own.manifest), this.#context.signerOf(manifest)] as const;
    const followed = this.#lineage.settle(publishers, manifest.number);
    this.#context.emit({ kind: 'conflict', number: manifest.number, publishers: followed });
    const [ours] = publishers;
    if (!sameBytes(followed[0], ours)) this.#onLeft(ours);
    return true;
  }

  /** Tells all neighbours that this publisher stands by. */
  dissent(number: WindowNumber): void {
    const { options, certificate, maySign, neighbours } = this.#context;
    if (!options.signer || !maySign) return;
    const { bytes } = signDissent(number, options.channel, options.signer, certificate);
    for (const neighbour of neighbours.values()) this.#context.send(neighbour, { kind: 'dissent', bytes });
  }

  /** A publisher says that it stands by. Its signature is looked at now and then, as for any evidence. */
  onDissent(neighbour: Neighbour, bytes: Uint8Array): void {
    const { nowMs, buffer } = this.#context;
    const followed = buffer.windows().at(-1);
    if (!followed || nowMs - neighbour.dissentMs < EVIDENCE_STEP_MS) return;
    neighbour.dissentMs = nowMs;
    const dissent = decodeDissent(copyOf(bytes));
    if (dissent instanceof Malformed) return this.#context.accuse(neighbour, dissent.reason);
    const judgement = this.#context.authority.judge(DISSENT_DOMAIN, dissent);
    if (judgement !== 'valid')
      return noteRefused(this.#context, neighbour, 'a dissent', { judgement, signed: dissent, serial: neighbour.readSerial });
    const publishers = [this.#context.signerOf(followed.manifest), this.#context.signerOf(dissent)] as const;
    if (!sameBytes(...publishers)) this.#context.emit({ kind: 'conflict', number: Math.min(dissent.number, followed.number), publishers });
  }

  /** A window that waited for others to confirm it was not confirmed. */
  deny(number: WindowNumber): void {
    this.#doubt(number, false);
  }

  #onRival(neighbour: Neighbour, number: WindowNumber): void {
    const { nowMs } = this.#context;
    if (this.#context.isPublisher) this.#doubt(number, true);
    if (nowMs - this.#askedMs < EVIDENCE_STEP_MS) return;
    this.#askedMs = nowMs;
    this.#asked = { number, from: neighbour.id };
    this.#context.send(neighbour, { kind: 'request', window: number, pieces: [], wantManifest: true, patienceMs: 0 });
  }

  /** Windows among our own that we never made, or far ahead of them: somebody counts otherwise. */
  #onUnknown(neighbour: Neighbour, number: WindowNumber): void {
    const { buffer, nowMs } = this.#context;
    const { head } = buffer;
    if (head === undefined || this.#firstOwn === undefined || number < Math.max(this.#firstOwn, buffer.tail)) return;
    if (number < head) return this.#doubt(number, true);
    neighbour.ahead ??= { number, sinceMs: nowMs };
    if (nowMs - neighbour.ahead.sinceMs > AHEAD_MS) this.#doubt(number, true);
  }

  #doubt(number: WindowNumber, published: boolean): void {
    const { nowMs } = this.#context;
    if (published && nowMs - this.#doubtedMs < DOUBT_STEP_MS) return;
    this.#doubtedMs = nowMs;
    this.#context.emit({ kind: 'doubt', number, published });
  }
}
