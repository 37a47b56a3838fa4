/**
 * Takes in manifests and pieces, and lets nothing into the buffer that was not signed with the authority of the channel's owner.
 *
 * A manifest that makes no sense ends the acquaintance at once; one that its signer had no right to sign, or a piece that does not match its
 * hash, does so the second time.
 */
import { sameBytes } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Announcer } from './announcer.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import { type Manifest, pieceSizeBytes } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { isAdmitted } from './offences.js';
import type { EarlyPiece, PendingWindows } from './pending-windows.js';
import type { Requester } from './requester.js';
import type { Subscribers } from './subscribers.js';
import type { Subscriptions } from './subscriptions.js';
import type { BufferedWindow } from './window-buffer.js';

/** Two bad pieces end the acquaintance (peers sheet, goal 11). */
const BAD_PIECES_MAX = 2;
/** Pieces that nobody asked for: late answers are honest, floods are not. */
const UNASKED_MAX = 256;

export interface ReceiverParts {
  readonly context: ExchangeContext;
  readonly announcer: Announcer;
  readonly requester: Requester;
  readonly pending: PendingWindows;
  readonly lineage: Lineage;
  readonly subscriptions: Subscriptions;
  readonly subscribers: Subscribers;
}

export class Receiver {
  readonly #context: ExchangeContext;
  readonly #announcer: Announcer;
  readonly #requester: Requester;
  readonly #pending: PendingWindows;
  readonly #lineage: Lineage;
  readonly #subscriptions: Subscriptions;
  readonly #subscribers: Subscribers;
  duplicateBytes: Bytes = 0;
  fromPublishersBytes: Bytes = 0;
  fromPeersBytes: Bytes = 0;
  badPieces = 0;

  constructor({ context, announcer, requester, pending, lineage, subscriptions, subscribers }: ReceiverParts) {
    this.#subscriptions = subscriptions;
    this.#subscribers = subscribers;
    this.#lineage = lineage;
    this.#context = context;
    this.#announcer = announcer;
    this.#requester = requester;
    this.#pending = pending;
  }

  /** Only what was asked for is looked at. `lowestWanted`: windows below it are not taken in any more. */
  onManifest(neighbour: Neighbour, bytes: Uint8Array, ageMs: Milliseconds, lowestWanted: WindowNumber): void {
    const { parameters, buffer, nowMs, intake } = this.#context;
    const manifest = intake.manifest(bytes, parameters.pieceBytes);
    if (manifest instanceof Malformed) return this.#context.accuse(neighbour, manifest.reason);
    const isFed =
      this.#subscriptions.isFedAnythingBy(neighbour) && this.#subscriptions.takes(manifest.number) && !buffer.get(manifest.number);
    // Unasked only of the publisher that is followed: which of several it is to be, neighbours' maps decide.
    const isAsked = this.#pending.hasAsked(manifest.number, neighbour.id);
    const isOfOurs = isFed && this.#isOfOurs(manifest);
    const isExpected = isAsked || isOfOurs || (!isFed && this.#pending.expects(manifest.number));
    if (!isExpected || manifest.number < lowestWanted) return void neighbour.noteManifestCame(manifest.number);
    if (!isAdmitted(this.#context, neighbour, manifest)) return this.#refuse(neighbour, manifest.number);
    neighbour.map.noteVersion(manifest.number, manifest.version);
    neighbour.proved();
    if (isOfOurs) this.#overrule(manifest);
    else if (this.#isRival(manifest)) return;
    if (this.#isRefused(manifest)) return;
    const window = buffer.open(manifest, nowMs, nowMs - ageMs - neighbour.wait.roundTripMs / 2);
    const early = this.#pending.release(manifest.number);
    if (window) this.#verifyEarly(window, early);
    this.#context.deliverDue = true;
    this.#context.planDue = true;
  }

  /** A window without authority is asked of others at once; that this neighbour claims to hold it counts no more. */
  #refuse(neighbour: Neighbour, number: WindowNumber): void {
    this.#pending.disappoint(number, neighbour.id);
    this.#requester.abandonAt(neighbour, number);
  }

  onPiece(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex, payload: Uint8Array): void {
    const calledOff = this.#requester.hasAsked(neighbour, number, piece) ? undefined : neighbour.takeCalledOff(number, piece);
    // Good if it fits, and nobody's fault if not.
    if (calledOff === 'other-content' && !this.#fits(number, piece, payload)) return neighbour.noteUnjudged();
    const { awaited, asked } = this.#requester.onAnswer(neighbour, number, piece, payload.length);
    const isFed = this.#isFed(neighbour, number, piece);
    if (isFed) this.#subscriptions.noteFed(neighbour, number, piece);
    if (!asked && !calledOff && !isFed) neighbour.unasked += 1;
    if (neighbour.unasked > UNASKED_MAX) return this.#context.accuse(neighbour, 'pieces that nobody asked for');
    const window = this.#context.buffer.get(number);
    if (window?.held.has(piece)) this.#onDuplicate(neighbour, window, piece, payload);
    // A late answer to a request that was given up is still good, if the window is here to check it against.
    if (!awaited && !window && !isFed) return neighbour.noteUnjudged();
    if (window?.held.has(piece)) return;
    this.#context.planDue = true;
    this.#countMedia(neighbour, payload.length);
    // Of one that may be a liar no more is kept than is enough to find it out.
    if (!window && isFed && !awaited && neighbour.onTrial && this.#pending.countFrom(neighbour.id) >= BAD_PIECES_MAX)
      return neighbour.noteUnjudged();
    if (!window && isFed) this.#pending.expect(number, this.#context.nowMs);
    if (!window) this.#keepEarly(neighbour, number, piece, payload);
    else if (this.#verify(window, piece, payload, neighbour)) this.#context.deliverDue = true;
  }

  /** Signed by whom the newest window here is signed by. */
  #isOfOurs(manifest: Manifest): boolean {
    const newest = this.#context.buffer.windows().at(-1);
    return newest !== undefined && sameBytes(this.#context.signerOf(newest.manifest), this.#context.signerOf(manifest));
  }

  /** It comes unasked, as was agreed. */
  #isFed(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex): boolean {
    return this.#subscriptions.isFedBy(neighbour, number, piece) && this.#subscriptions.takes(number);
  }

  /** It is of no use, but what is wrong with it counts all the same: or a slow liar would never be found out. */
  #onDuplicate(neighbour: Neighbour, window: BufferedWindow, piece: PieceIndex, payload: Uint8Array): void {
    this.duplicateBytes += payload.length;
    const own = window.piece(piece);
    if (own && !sameBytes(own, payload)) this.#reject(neighbour, window.number);
  }

  /** Signed by the publisher that is followed: whatever neighbours have named in its place was made up, or is not ours. */
  #overrule({ number, version }: Manifest): void {
    const wanted = this.#lineage.of(number);
    if (wanted !== undefined && wanted !== version) this.#requester.startOver(number);
  }

  /** It is not the content that was asked for, and somebody names that one still. */
  #isRival({ number, version }: Manifest): boolean {
    const wanted = this.#lineage.of(number);
    if (wanted === undefined || wanted === version) return false;
    this.#context.planDue = true;
    const isNamed = this.#context.neighbours.values().some(({ map }) => map.get(number)?.version === wanted);
    // Pieces that came early may be of the other one; asking for them again costs less than blaming who sent them.
    if (!isNamed) this.#requester.startOver(number);
    return isNamed;
  }

  /** A publisher has signed it that is not of our line. */
  #isRefused(manifest: Manifest): boolean {
    if (!this.#lineage.refuses(manifest)) return false;
    this.#lineage.consider(manifest.number, true);
    this.#requester.startOver(manifest.number);
    return true;
  }

  #keepEarly(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex, payload: Uint8Array): void {
    if (payload.length > this.#context.parameters.pieceBytes) this.#reject(neighbour, number);
    else this.#pending.keep(number, piece, { from: neighbour.id, payload });
  }

  /** Pieces that came before the manifest. Of somebody who sent bad ones, no more than those are looked at. */
  #verifyEarly(window: BufferedWindow, early: ReadonlyMap<PieceIndex, EarlyPiece>): void {
    for (const [piece, { from, payload }] of early) {
      const neighbour = this.#context.neighbours.get(from);
      if (neighbour === undefined || neighbour.badPieces < BAD_PIECES_MAX) this.#verify(window, piece, payload, neighbour);
    }
  }

  #countMedia(neighbour: Neighbour, sizeBytes: Bytes): void {
    neighbour.mediaDownBytes += sizeBytes;
    neighbour.lastPieceMs = this.#context.nowMs;
    if (neighbour.publisher) this.fromPublishersBytes += sizeBytes;
    else this.fromPeersBytes += sizeBytes;
  }

  /** The only way into the buffer: the size and the hash must match the signed manifest. */
  #verify(window: BufferedWindow, piece: PieceIndex, payload: Uint8Array, from: Neighbour | undefined): boolean {
    if (this.#fits(window.number, piece, payload)) {
      window.store(piece, this.#context.intake.keep(payload));
      from?.succeeded();
      this.#context.lastGoodMs = this.#context.nowMs;
      from?.map.noteHeld(window.number, piece, window.held.length, window.version);
      this.#subscribers.feed(window, piece);
      this.#announcer.note(window, piece);
      return true;
    }
    this.#reject(from, window.number);
    return false;
  }

  /** Whether the window is here, and this is that piece of it. */
  #fits(number: WindowNumber, piece: PieceIndex, payload: Uint8Array): boolean {
    const { buffer, parameters, options } = this.#context;
    const manifest = buffer.get(number)?.manifest;
    const expected = manifest?.pieceHashes[piece];
    if (!manifest || !expected || payload.length !== pieceSizeBytes(manifest, piece, parameters.pieceBytes)) return false;
    return sameBytes(options.hasher.sha256(payload), expected);
  }

  #reject(neighbour: Neighbour | undefined, window: WindowNumber): void {
    const own = this.#context.buffer.get(window)?.version;
    const named = neighbour?.map.get(window)?.version;
    if (neighbour && own !== undefined && named !== undefined && named !== own) {
      // It holds another content by now, as it has said or shown: not for nothing, for whoever sends bad pieces may say so as well.
      neighbour.brokenPromises += 1;
      return neighbour.noteUnjudged();
    }
    this.badPieces += 1;
    if (!neighbour) return;
    neighbour.badPieces += 1;
    neighbour.map.noteMissing(window);
    if (neighbour.badPieces < BAD_PIECES_MAX) return;
    this.#pending.dropPeer(neighbour.id);
    this.#context.accuse(neighbour, `${neighbour.badPieces} pieces that do not match their hash`);
  }
}
