/**
 * Fetches a few of the newest windows that others publish, for a publisher that compares them with its own source.
 *
 * Like a viewer it believes nothing but signatures and hashes; unlike one it wants no stream, only samples, and keeps them apart from the buffer: a sample
 * may have a number under which this publisher holds something else. Bounded by `SAMPLES_MAX` windows under way.
 */
import { copyOf, sameBytes } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import { PIECES_PER_MESSAGE_MAX } from './live-message.js';
import { decodeManifest, type Manifest, pieceSizeBytes } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { isAdmitted } from './offences.js';
import { BufferedWindow } from './window-buffer.js';

/** Windows under way: some of each of several publishers, a quarter of a megabyte at 500 kbit/s. */
const SAMPLES_MAX = 8;
/** Pieces before a manifest are kept up to this many; more come after it, or not at all. */
const EARLY_PIECES_MAX = 64;
/** A sample that is not here after this is given up. */
const PATIENCE_MS: Milliseconds = 3_000;

interface Sample {
  readonly from: ConnectionId;
  readonly askedMs: Milliseconds;
  window: BufferedWindow | undefined;
  readonly early: Map<PieceIndex, Uint8Array>;
}

interface Candidate {
  readonly number: WindowNumber;
  readonly holder: Neighbour;
  readonly pieceCount: number;
}

export class Survey {
  readonly #context: ExchangeContext;
  readonly #samples = new Map<WindowNumber, Sample>();
  /** The newest sample that has come; older ones are not asked for again. */
  readonly #done = new Set<WindowNumber>();

  /** The highest number of a sample: that one exists, whatever maps say. */
  newest: WindowNumber = -1;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  /** Asks for up to `count` of the newest windows that are not our own; those fetched before are left out. */
  begin(count: number): void {
    this.#giveUpLate();
    const wanted = this.#fairly(this.#candidates()).slice(0, Math.min(count, SAMPLES_MAX - this.#samples.size));
    for (const { number, holder, pieceCount } of wanted) {
      this.#samples.set(number, { from: holder.id, askedMs: this.#context.nowMs, window: undefined, early: new Map() });
      const pieces = Array.from({ length: Math.min(pieceCount, PIECES_PER_MESSAGE_MAX) }, (_, piece) => piece);
      this.#context.send(holder, { kind: 'request', window: number, pieces, wantManifest: true, patienceMs: PATIENCE_MS });
    }
  }

  /** Whether this manifest was asked for here. */
  takesManifest(neighbour: Neighbour, bytes: Uint8Array): boolean {
    const manifest = decodeManifest(copyOf(bytes), this.#context.parameters.pieceBytes);
    if (manifest instanceof Malformed) {
      this.#context.accuse(neighbour, manifest.reason);
      return true;
    }
    const sample = this.#samples.get(manifest.number);
    if (sample?.from !== neighbour.id || sample.window) return false;
    if (!isAdmitted(this.#context, neighbour, manifest)) this.#samples.delete(manifest.number);
    else this.#open(sample, manifest, neighbour);
    return true;
  }

  /** Whether this piece was asked for here. */
  takesPiece(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex, payload: Uint8Array): boolean {
    const sample = this.#samples.get(number);
    if (sample?.from !== neighbour.id) return false;
    if (sample.window) this.#store(sample.window, neighbour, piece, payload);
    else if (sample.early.size < EARLY_PIECES_MAX && payload.length <= this.#context.parameters.pieceBytes)
      sample.early.set(piece, copyOf(payload));
    return true;
  }

  /** The neighbour cannot or will not send it. */
  refused(neighbour: Neighbour, number: WindowNumber, why: 'busy' | 'not-held'): void {
    if (this.#samples.get(number)?.from !== neighbour.id) return;
    this.#samples.delete(number);
    neighbour.map.noteMissing(number);
    if (why === 'not-held') neighbour.emptyClaims += 1;
  }

  dropPeer(peer: ConnectionId): void {
    for (const [number, { from }] of this.#samples) if (from === peer) this.#samples.delete(number);
  }

  #open(sample: Sample, manifest: Manifest, neighbour: Neighbour): void {
    neighbour.map.noteVersion(manifest.number, manifest.version);
    sample.window = new BufferedWindow(manifest, this.#context.nowMs);
    for (const [piece, payload] of sample.early) this.#store(sample.window, neighbour, piece, payload);
    sample.early.clear();
    const missing = [...manifest.pieceHashes.keys()].filter((piece) => piece >= PIECES_PER_MESSAGE_MAX);
    if (missing.length > 0 && missing.length <= PIECES_PER_MESSAGE_MAX) {
      const { number } = manifest;
      this.#context.send(neighbour, { kind: 'request', window: number, pieces: missing, wantManifest: false, patienceMs: PATIENCE_MS });
    }
  }

  #store(window: BufferedWindow, neighbour: Neighbour, piece: PieceIndex, payload: Uint8Array): void {
    const { manifest, number } = window;
    const expected = manifest.pieceHashes[piece];
    const isWhole = payload.length === pieceSizeBytes(manifest, piece, this.#context.parameters.pieceBytes);
    if (!expected || !isWhole || !sameBytes(this.#context.options.hasher.sha256(payload), expected)) {
      this.#samples.delete(number);
      neighbour.badPieces += 1;
      if (neighbour.badPieces > 1) this.#context.accuse(neighbour, `${neighbour.badPieces} pieces that do not match their hash`);
      return;
    }
    window.store(piece, copyOf(payload));
    if (!window.complete) return;
    neighbour.proved();
    this.newest = Math.max(this.newest, number);
    this.#samples.delete(number);
    this.#done.add(number);
    for (const oldest of this.#done) {
      if (this.#done.size <= 4 * SAMPLES_MAX) break;
      this.#done.delete(oldest);
    }
    this.#context.emit({
      kind: 'surveyed',
      manifest,
      bytes: window.join(this.#context.parameters.pieceBytes),
      publisher: this.#context.signerOf(manifest),
    });
  }

  /** Nobody takes more than its part of the samples under way, and those go first whose word has proved good: numbers can be made up. */
  #fairly(candidates: readonly Candidate[]): readonly Candidate[] {
    const busy = new Map<ConnectionId, number>();
    for (const { from } of this.#samples.values()) busy.set(from, (busy.get(from) ?? 0) + 1);
    const part = Math.ceil(SAMPLES_MAX / Math.max(1, new Set(candidates.map(({ holder }) => holder)).size));
    return candidates
      .toSorted((a, b) => a.holder.emptyClaims - b.holder.emptyClaims)
      .filter(({ holder }) => {
        const count = (busy.get(holder.id) ?? 0) + 1;
        busy.set(holder.id, count);
        return count <= part;
      });
  }

  /** The newest first. Viewers are asked before publishers, who have enough to do. */
  #candidates(): readonly Candidate[] {
    const found = new Map<WindowNumber, Candidate>();
    for (const holder of this.#context.neighbours.values()) {
      for (const number of holder.map.numbers()) {
        const claim = holder.map.get(number);
        if (!claim || claim.pieceCount === 0 || !holder.map.holdsAll(number) || this.#isKnown(number, claim.version)) continue;
        const rival = found.get(number)?.holder;
        if (!rival || isRatherAsked(holder, rival)) found.set(number, { number, holder, pieceCount: claim.pieceCount });
      }
    }
    return [...found.values()].sort((a, b) => b.number - a.number);
  }

  #isKnown(number: WindowNumber, version: number | undefined): boolean {
    const own = this.#context.buffer.get(number);
    return this.#samples.has(number) || this.#done.has(number) || (own !== undefined && (version === undefined || own.version === version));
  }

  #giveUpLate(): void {
    for (const [number, { askedMs, from }] of this.#samples) {
      if (this.#context.nowMs - askedMs <= PATIENCE_MS) continue;
      this.#samples.delete(number);
      const holder = this.#context.neighbours.get(from);
      if (holder) holder.emptyClaims += 1;
    }
  }
}

/** Whose word has proved better; at equal words viewers before publishers. */
function isRatherAsked(one: Neighbour, other: Neighbour): boolean {
  if (one.trusted !== other.trusted) return one.trusted;
  return other.publisher && !one.publisher;
}
