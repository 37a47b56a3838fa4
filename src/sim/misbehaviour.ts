/**
 * Peers that lie: each is the shipped peer with one habit, applied to what it sends. The only fakes in a simulated swarm.
 */
import { Bitfield } from '../kernel/bitfield.js';
import { Malformed } from '../kernel/errors.js';
import type { Hasher, Signer } from '../kernel/ports.js';
import type { ConnectionId, InfoHash, Milliseconds, WindowNumber } from '../kernel/units.js';
import { CERTIFICATE_BYTES, signCertificate } from '../relay/exchange/certificate.js';
import { CertificateMemory } from '../relay/exchange/certificate-memory.js';
import type { LiveMessage, WindowAvailability } from '../relay/exchange/live-message.js';
import { WINDOW_DOMAIN } from '../relay/exchange/manifest.js';
import { SIGNATURE_BYTES, signedBytes } from '../relay/exchange/signature.js';
import { type PublisherIdentity, type Tamper, WORLD_START_MS } from './live-world.js';

/** What a liar needs to lie with. */
export interface Forgery {
  readonly channel: InfoHash;
  /** The owner's own key: to sign something true for another channel. */
  readonly owner: Signer;
  /** Somebody else's key. */
  readonly stranger: Signer;
  readonly hasher: Hasher;
}

type Habit = (forgery: Forgery) => Tamper;

const HOUR_MS: Milliseconds = 3_600_000;
/** Where a manifest's flags stand, and the one that says that a certificate comes before the signature. */
const FLAGS_AT = 1;
const FLAG_DELEGATED = 4;
/** The highest number that fits on the wire. */
const NUMBER_MAX: WindowNumber = 0xffff_ffff;

/** By name. Those in `POLLUTERS` send bad data, the others only waste time. */
export const HABITS = {
  /** Flips one byte of every piece. */
  'flips a byte': () => onPieces((piece) => ({ ...piece, payload: flipped(piece.payload, piece.payload.length >> 1) })),
  /** Sends half of every piece. */
  'cuts pieces short': () => onPieces((piece) => ({ ...piece, payload: piece.payload.subarray(0, piece.payload.length >> 1) })),
  /** Sends pieces larger than any piece of the channel. */
  'pads pieces': () => onPieces((piece) => ({ ...piece, payload: new Uint8Array(piece.payload.length + 100_000) })),
  /** Answers for a window with the pieces of the one before. */
  'replays an old window': () => {
    const old = new Map<number, Uint8Array>();
    return onPieces((piece) => {
      const payload = old.get(piece.piece) ?? flipped(piece.payload, 0);
      old.set(piece.piece, piece.payload);
      return { ...piece, payload };
    });
  },
  /** Sends manifests that the owner signed for another channel. */
  'serves another channel': ({ channel, owner }) =>
    onManifests((bytes) => resigned(bytes, channel.startsWith('0') ? `1${channel.slice(1)}` : `0${channel.slice(1)}`, owner)),
  /** Signs manifests itself. */
  'signs with its own key': ({ channel, stranger }) => onManifests((bytes) => resigned(bytes, channel, stranger)),
  /** Signs manifests itself, with a certificate that it signed itself. */
  'delegates itself': ({ channel, stranger }) => signsAs(channel, identityOf(channel, stranger, stranger)),
  /** Signs manifests with a certificate of the owner that ended an hour before the world began. */
  'signs with an expired key': ({ channel, owner, stranger }) =>
    signsAs(channel, identityOf(channel, stranger, owner, WORLD_START_MS - HOUR_MS)),
  /** Answers with manifests and pieces of the window before, all of them genuine. */
  'replays an old manifest': () => {
    const manifests: Uint8Array[] = [];
    const old = new Map<number, Uint8Array>();
    const onManifest = onManifests((bytes) => {
      manifests.push(bytes);
      return manifests.at(-2) ?? bytes;
    });
    return (message, to, nowMs) => {
      if (message.kind !== 'piece') return onManifest(message, to, nowMs);
      const payload = old.get(message.piece) ?? flipped(message.payload, 0);
      old.set(message.piece, message.payload);
      return [{ ...message, payload }];
    };
  },
  /** Leaves the signature empty. */
  'does not sign': () => onManifests((bytes) => bytes.slice().fill(0, bytes.length - SIGNATURE_BYTES)),
  /** Sends half of every manifest. */
  'cuts manifests short': () => onManifests((bytes) => bytes.subarray(0, bytes.length >> 1)),
  /** Claims to hold every window there is and a thousand that there are not. */
  'claims to hold everything': () =>
    onMaps((windows, tail) => [...wholeFrom(tail, 200), ...windows.map(whole), ...wholeFrom(NUMBER_MAX - 100, 100)]),
  /** Claims that the newest window is the last that has a number. */
  'claims the far future': () => onMaps(() => [{ number: NUMBER_MAX, pieceCount: 8, key: true, held: null }]),
  /** Promises and never answers. */
  'never answers': () => (message) => (message.kind === 'piece' || message.kind === 'manifest' ? [] : [message]),
  /** Refuses whatever it is asked for. */
  'always refuses': () => (message) =>
    message.kind === 'piece' ? [{ kind: 'refuse', why: 'busy', window: message.window, etaMs: 0, pieces: [message.piece] }] : [message],
  /** Denies what it has announced. */
  'breaks every promise': () => (message) =>
    message.kind === 'piece' ? [{ kind: 'refuse', why: 'not-held', window: message.window, etaMs: 0, pieces: [message.piece] }] : [message],
  /** Takes what it is given and passes nothing on. */
  'takes and never tells': () => onMaps(() => []),
} as const satisfies Record<string, Habit>;

export type HabitName = keyof typeof HABITS;

/** Whoever meets one of these and asks it for something knows it by the second bad answer at the latest. */
export const POLLUTERS: readonly HabitName[] = [
  'flips a byte',
  'cuts pieces short',
  'pads pieces',
  'replays an old window',
  'serves another channel',
  'signs with its own key',
  'delegates itself',
  'signs with an expired key',
  'replays an old manifest',
  'does not sign',
  'cuts manifests short',
];

/** What one of these says is not to be trusted, but none of it is bad data. */
export const TIME_WASTERS: readonly HabitName[] = [
  'claims to hold everything',
  'claims the far future',
  'never answers',
  'always refuses',
  'breaks every promise',
  'takes and never tells',
];

export function tamperOf(habit: HabitName, forgery: Forgery): Tamper {
  return (HABITS[habit] as Habit)(forgery);
}

/** Signs every manifest it passes on in the name of this publisher. */
export function signsAs(channel: InfoHash, { signer, certificate }: PublisherIdentity): Tamper {
  return onManifests((bytes) => {
    const delegated = ((bytes[FLAGS_AT] ?? 0) & FLAG_DELEGATED) !== 0;
    const content = bytes.subarray(0, bytes.length - SIGNATURE_BYTES - (delegated ? CERTIFICATE_BYTES : 0));
    const body = new Uint8Array([...content, ...certificate.bytes]);
    body[FLAGS_AT] = (body[FLAGS_AT] ?? 0) | FLAG_DELEGATED;
    return new Uint8Array([...body, ...signer.sign(signedBytes(WINDOW_DOMAIN, channel, body))]);
  });
}

/** Somebody's key with a certificate: unless said otherwise, a day old at the beginning of the world and good for another day. */
export function identityOf(
  channel: InfoHash,
  signer: Signer,
  issuer: Signer,
  untilMs: Milliseconds = WORLD_START_MS + 24 * HOUR_MS,
  fromMs: Milliseconds = WORLD_START_MS - 24 * HOUR_MS,
): PublisherIdentity {
  return { signer, certificate: signCertificate({ key: signer.publicKey, fromMs, untilMs }, channel, issuer) };
}

function onPieces(change: (piece: LiveMessage & { kind: 'piece' }) => LiveMessage): Tamper {
  return (message) => [message.kind === 'piece' ? change(message) : message];
}

/** Of whole manifests: those that travel without their certificate get it back first. */
function onManifests(change: (bytes: Uint8Array) => Uint8Array): Tamper {
  const memories = new Map<ConnectionId, CertificateMemory>();
  return (message, to) => {
    if (message.kind !== 'manifest') return [message];
    const memory = memories.get(to) ?? new CertificateMemory();
    memories.set(to, memory);
    const bytes = memory.restore(message);
    return bytes instanceof Malformed ? [] : [{ kind: 'manifest', ageMs: message.ageMs, bytes: change(bytes) }];
  };
}

/** What was told in short would go past a liar's maps. */
function onMaps(change: (windows: readonly WindowAvailability[], tail: WindowNumber) => readonly WindowAvailability[]): Tamper {
  let tail: WindowNumber = 0;
  return (message) => {
    if (message.kind === 'have') return [];
    if (message.kind !== 'map') return [message];
    tail = message.tail ?? tail;
    return [{ ...message, windows: change(message.windows, tail) }];
  };
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

function resigned(bytes: Uint8Array, channel: InfoHash, signer: Signer): Uint8Array {
  const copy = bytes.slice();
  const body = copy.subarray(0, copy.length - SIGNATURE_BYTES);
  copy.set(signer.sign(signedBytes(WINDOW_DOMAIN, channel, body)), body.length);
  return copy;
}

function whole(window: WindowAvailability): WindowAvailability {
  return { ...window, held: window.held && new Bitfield(window.held.length, new Uint8Array(window.held.bytes.length).fill(0xff)) };
}

function wholeFrom(first: WindowNumber, count: number): readonly WindowAvailability[] {
  return Array.from({ length: count }, (_, index) => ({ number: first + index, pieceCount: 10, key: true, held: null }));
}
