/** One live exchange or a part of it, outside any world: windows to feed it with, neighbours to talk to it, and the effects it had. */
import { createSigner, nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { Rng } from '../../src/kernel/rng.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import type { ConnectionId, WindowNumber } from '../../src/kernel/units.js';
import { Authority } from '../../src/relay/exchange/authority.js';
import { type Certificate, signCertificate } from '../../src/relay/exchange/certificate.js';
import { ExchangeContext, type LiveExchangeOptions } from '../../src/relay/exchange/exchange-context.js';
import { LiveExchange } from '../../src/relay/exchange/live-exchange.js';
import { LIVE_VERSION, type LiveMessage, type WindowAvailability } from '../../src/relay/exchange/live-message.js';
import type { LiveEffect } from '../../src/relay/exchange/live-protocol.js';
import { type Manifest, signManifest, splitPieces, type WindowContent } from '../../src/relay/exchange/manifest.js';
import { Neighbour } from '../../src/relay/exchange/neighbour.js';
import type { BufferedWindow } from '../../src/relay/exchange/window-buffer.js';
import { LIVE_PARAMETERS } from './live-parameters.js';

export const CHANNEL = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';
export const OWNER = createSigner(new Uint8Array(32).fill(1));
export const STRANGER = createSigner(new Uint8Array(32).fill(2));
/** The owner has delegated it; `CERTIFICATE` says so. */
export const PUBLISHER = createSigner(new Uint8Array(32).fill(3));
/** Unix time of every exchange that is not given another. */
export const WALL_MS = 1_800_000_000_000;
export const DAY_MS = 86_400_000;
export const CERTIFICATE = certify();
/** Small pieces, so that a window of a few has a few hundred bytes. */
export const PIECE_BYTES = 100;
export const PARAMETERS = { ...LIVE_PARAMETERS, pieceBytes: PIECE_BYTES };

/** A certificate from a day ago until in a day, by the owner for the publisher, but for what is given. */
export function certify(
  { key = PUBLISHER.publicKey, fromMs = WALL_MS - DAY_MS, untilMs = WALL_MS + DAY_MS } = {},
  owner = OWNER,
): Certificate {
  return signCertificate({ key, fromMs, untilMs }, CHANNEL, owner);
}

/** What anybody who knows the channel makes of something signed, with no list and at `WALL_MS` unless told otherwise. */
export function authorityAt(wallClockMs: () => number = () => WALL_MS): Authority {
  return new Authority({ channel: CHANNEL, owner: OWNER.publicKey, verifier: nodeVerifier, wallClockMs });
}

export function optionsOf(overrides: Partial<LiveExchangeOptions> = {}): LiveExchangeOptions {
  return {
    channel: CHANNEL,
    owner: OWNER.publicKey,
    parameters: PARAMETERS,
    hasher: nodeHasher,
    verifier: nodeVerifier,
    rng: new Rng(1),
    uplink: new TokenBucket(0),
    downlink: new TokenBucket(0),
    wallClockMs: () => WALL_MS,
    ...overrides,
  };
}

export interface MadeWindow {
  readonly content: WindowContent;
  readonly manifest: Manifest;
  readonly pieces: readonly Uint8Array[];
}

/** A window of so many pieces, the last one short; every fourth has a key frame. */
export function makeWindow(
  number: WindowNumber,
  pieceCount = 3,
  overrides: Partial<WindowContent> = {},
  signer = OWNER,
  channel = CHANNEL,
  certificate: Certificate | null = null,
): MadeWindow {
  const bytes = Uint8Array.from({ length: pieceCount * PIECE_BYTES - 10 }, (_, index) => (number * 31 + index * 7) & 0xff);
  const content: WindowContent = {
    number,
    previous: number === 0 ? null : number - 1,
    discontinuity: false,
    startMs: number * PARAMETERS.windowMs,
    durationMs: PARAMETERS.windowMs,
    bytes,
    keyMarks: number % 4 === 0 ? [{ offsetBytes: 0, afterStartMs: 0 }] : [],
    ...overrides,
  };
  const manifest = signManifest(content, channel, PIECE_BYTES, nodeHasher, signer, certificate);
  return { content, manifest, pieces: splitPieces(content.bytes, PIECE_BYTES) };
}

export function makeContext(overrides: Partial<LiveExchangeOptions> = {}, nowMs = 0): ExchangeContext {
  const context = new ExchangeContext(optionsOf(overrides));
  context.nowMs = nowMs;
  return context;
}

export function addNeighbour(context: ExchangeContext, id: ConnectionId, publisher = false): Neighbour {
  const neighbour = new Neighbour(id, context.nowMs);
  neighbour.greeted = true;
  neighbour.publisher = publisher;
  context.neighbours.set(id, neighbour);
  return neighbour;
}

/** Puts a window into the buffer, with all pieces or with those named. */
export function hold(context: ExchangeContext, made: MadeWindow, pieces: readonly number[] = [...made.pieces.keys()]): BufferedWindow {
  const window = context.buffer.open(made.manifest, context.nowMs);
  if (!window) throw new Error(`window ${made.content.number} does not open`);
  for (const piece of pieces) window.store(piece, made.pieces[piece] as Uint8Array);
  return window;
}

/** A word of a map about a made window: all of it, or the pieces named. */
export function availability({ content, manifest, pieces }: MadeWindow, held?: readonly number[]): WindowAvailability {
  const field = held ? new Bitfield(pieces.length) : null;
  for (const piece of held ?? []) field?.add(piece);
  return { number: content.number, pieceCount: pieces.length, key: content.keyMarks.length > 0, held: field, version: manifest.version };
}

export function sent(effects: readonly LiveEffect[]): readonly { readonly to: ConnectionId; readonly message: LiveMessage }[] {
  return effects.flatMap((effect) => (effect.kind === 'send' ? [{ to: effect.to, message: effect.message }] : []));
}

/** Messages of one kind, with whom they went to. */
export function sentOf<Kind extends LiveMessage['kind']>(
  effects: readonly LiveEffect[],
  kind: Kind,
): readonly (LiveMessage & { kind: Kind } & { readonly to: ConnectionId })[] {
  return sent(effects).flatMap(({ to, message }) => (message.kind === kind ? [{ ...(message as LiveMessage & { kind: Kind }), to }] : []));
}

/** An exchange with its clock in the test's hand. */
export class DrivenExchange {
  readonly exchange: LiveExchange;
  nowMs = 0;
  readonly effects: LiveEffect[] = [];

  constructor(overrides: Partial<LiveExchangeOptions> = {}) {
    this.exchange = new LiveExchange(optionsOf(overrides));
    this.input({ kind: 'command', command: { kind: 'start' } });
  }

  input(input: Parameters<LiveExchange['handle']>[0]): readonly LiveEffect[] {
    const effects = this.exchange.handle(input, this.nowMs);
    this.effects.push(...effects);
    return effects;
  }

  meet(id: ConnectionId, publisher = false, peerId = `peer ${id}`): readonly LiveEffect[] {
    return [
      ...this.input({ kind: 'peer-up', peer: id, peerId }),
      ...this.hear(id, { kind: 'hello', version: LIVE_VERSION, publisher, rank: 7 }),
    ];
  }

  hear(from: ConnectionId, message: LiveMessage): readonly LiveEffect[] {
    return this.input({ kind: 'message', from, message });
  }

  hearMap(from: ConnectionId, windows: readonly WindowAvailability[], full = true): readonly LiveEffect[] {
    return this.hear(from, { kind: 'map', full, tail: 0, windows });
  }

  /** Time passes, tick by tick. */
  wait(forMs: number): readonly LiveEffect[] {
    const effects: LiveEffect[] = [];
    for (let leftMs = forMs; leftMs > 0; leftMs -= PARAMETERS.tickMs) {
      this.nowMs += Math.min(leftMs, PARAMETERS.tickMs);
      effects.push(...this.input({ kind: 'timer', timer: 'tick' }));
    }
    return effects;
  }

  figures(): ReturnType<LiveExchange['figures']> {
    return this.exchange.figures(this.nowMs);
  }
}
