/**
 * What a recorded core was built from: everything but the inputs that its effects follow from.
 *
 * Travels as JSON. Only a viewer's: a publisher's core holds a private key, and no trace ever does. Signatures and hashes are not kept, because they come out
 * the same everywhere; the wall clock is kept with each step.
 */

import { Malformed } from '../../kernel/errors.js';
import type { Hasher, Verifier } from '../../kernel/ports.js';
import { Rng } from '../../kernel/rng.js';
import { TokenBucket } from '../../kernel/token-bucket.js';
import type { BytesPerSecond, InfoHash, Milliseconds } from '../../kernel/units.js';
import { mendAsf } from '../../media/asf-mending.js';
import { mendFlv } from '../../media/flv-mending.js';
import type { LiveExchangeOptions } from '../exchange/exchange-context.js';
import { MAP_WINDOWS_MAX } from '../exchange/live-message.js';
import type { LiveParameters } from '../exchange/live-parameters.js';
import { hexOf } from './trace-words.js';

export interface TraceOrigin {
  /** Of the messages. */
  readonly liveVersion: number;
  readonly channel: InfoHash;
  /** Public key of the channel's owner. */
  readonly owner: Uint8Array;
  readonly container: 'flv' | 'asf';
  readonly rngSeed: number;
  readonly upBytesPerSecond: BytesPerSecond;
  readonly downBytesPerSecond: BytesPerSecond;
  readonly parameters: LiveParameters;
}

const SEED_LIMIT = 0x1_0000_0000;
/** JSON has no word for it. */
const INFINITE = 'Infinity';
const PARAMETER_NAME = /^[a-z][A-Za-z0-9]{0,63}$/;

export function encodeOrigin(origin: TraceOrigin): Uint8Array {
  const plain = { ...origin, owner: hexOf(origin.owner) };
  const text = JSON.stringify(plain, (_, value: unknown) => (value === Number.POSITIVE_INFINITY ? INFINITE : value));
  return new TextEncoder().encode(text);
}

export function decodeOrigin(bytes: Uint8Array): TraceOrigin | Malformed {
  const value = parsed(new TextDecoder().decode(bytes));
  if (value === undefined) return new Malformed('what the core was built from is no JSON');
  const { liveVersion, channel, owner, container, rngSeed, upBytesPerSecond, downBytesPerSecond } = value;
  if (!isRate(liveVersion)) return wrong('liveVersion', 'a number', liveVersion);
  if (!isHex(channel, 40)) return wrong('channel', '40 hex digits', channel);
  if (!isHex(owner, 64)) return wrong('owner', '64 hex digits', owner);
  if (container !== 'flv' && container !== 'asf') return wrong('container', '"flv" or "asf"', container);
  if (!isRate(rngSeed) || rngSeed >= SEED_LIMIT || !Number.isInteger(rngSeed))
    return wrong('rngSeed', 'a whole number below 2^32', rngSeed);
  if (!isRate(upBytesPerSecond)) return wrong('upBytesPerSecond', 'a number from 0', upBytesPerSecond);
  if (!isRate(downBytesPerSecond)) return wrong('downBytesPerSecond', 'a number from 0', downBytesPerSecond);
  const parameters = parametersOf(value['parameters']);
  if (parameters instanceof Malformed) return parameters;
  return { liveVersion, channel, owner: bytesOf(owner), container, rngSeed, upBytesPerSecond, downBytesPerSecond, parameters };
}

/** For the core that is recorded, and for one that shall begin as it did. */
export function exchangeOptions(
  origin: TraceOrigin,
  { hasher, verifier, wallClockMs }: { readonly hasher: Hasher; readonly verifier: Verifier; readonly wallClockMs: () => Milliseconds },
): LiveExchangeOptions {
  return {
    channel: origin.channel,
    owner: origin.owner,
    parameters: origin.parameters,
    hasher,
    verifier,
    wallClockMs,
    rng: new Rng(origin.rngSeed),
    uplink: new TokenBucket(origin.upBytesPerSecond),
    downlink: new TokenBucket(origin.downBytesPerSecond),
    mend: origin.container === 'flv' ? mendFlv : mendAsf,
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether version and parameters are those of this program is for the command to say, which knows them. */
function parametersOf(value: unknown): LiveParameters | Malformed {
  if (typeof value !== 'object' || value === null) return wrong('parameters', 'numbers by name', value);
  const parameters: Record<string, number> = {};
  for (const [name, given] of Object.entries(value)) {
    const number: unknown = given === INFINITE ? Number.POSITIVE_INFINITY : given;
    if (!PARAMETER_NAME.test(name) || typeof number !== 'number') return wrong(`parameters.${name}`, 'a number', given);
    parameters[name] = number;
  }
  // The core looks at as many numbers at a time.
  const { bufferWindows } = parameters;
  if (bufferWindows !== undefined && !(bufferWindows >= 1 && bufferWindows <= MAP_WINDOWS_MAX))
    return wrong('parameters.bufferWindows', `1 to ${MAP_WINDOWS_MAX}`, bufferWindows);
  return parameters as unknown as LiveParameters;
}

function wrong(name: string, expected: string, value: unknown): Malformed {
  return new Malformed(`${name}: expected ${expected}, got ${shown(value)}`);
}

/** Never more than a line of it. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);
}

function isRate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value);
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) => Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16));
}
