/**
 * How many wrong pieces and manifests each viewer took from each neighbour, by the recordings of their live exchanges; what came after a neighbour was dropped is in none.
 *
 * What is right is what the publisher itself sent to any of them: its manifests name the hash of every piece.
 */
import { readFileSync } from 'node:fs';
import { nodeHasher } from '../../src/io/crypto.js';
import { sameBytes } from '../../src/kernel/bytes.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { ConnectionId, WindowNumber } from '../../src/kernel/units.js';
import { CertificateMemory } from '../../src/relay/exchange/certificate-memory.js';
import type { LiveMessage } from '../../src/relay/exchange/live-message.js';
import { decodeManifest, type Manifest } from '../../src/relay/exchange/manifest.js';
import { decodeTrace, type LiveTrace } from '../../src/relay/trace/live-trace.js';

/** From one neighbour, known by its peer id, over all connections. */
export interface WrongReceipt {
  pieces: number;
  manifests: number;
}

interface Right {
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

interface Heard {
  /** Peer id, as the recording numbers it. */
  readonly neighbour: string;
  readonly byPublisher: boolean;
  /** With whole manifests. */
  readonly message: LiveMessage;
}

export interface WrongReceipts {
  /** Of each viewer and each neighbour that sent it anything wrong. */
  readonly pairs: readonly WrongReceipt[];
  /** Pieces and manifests of windows of which no viewer had the publisher's own manifest: nobody can tell. */
  readonly unjudged: number;
}

export function wrongReceipts(tracePaths: readonly string[]): WrongReceipts {
  const rights = new Map<WindowNumber, Right>();
  for (const path of tracePaths) {
    const trace = readTrace(path);
    for (const { byPublisher, message } of heardIn(trace))
      if (byPublisher && message.kind === 'manifest') noteRight(rights, trace, message.bytes);
  }
  const pairs: WrongReceipt[] = [];
  let unjudged = 0;
  for (const path of tracePaths) {
    const wrong = new Map<string, WrongReceipt>();
    for (const { neighbour, message } of heardIn(readTrace(path))) {
      const verdict = verdictOn(message, rights);
      if (verdict === 'unjudged') unjudged += 1;
      if (verdict !== 'wrong') continue;
      const receipt = wrong.get(neighbour) ?? { pieces: 0, manifests: 0 };
      wrong.set(neighbour, receipt);
      receipt[message.kind === 'piece' ? 'pieces' : 'manifests'] += 1;
    }
    pairs.push(...wrong.values());
  }
  return { pairs, unjudged };
}

function noteRight(rights: Map<WindowNumber, Right>, { origin }: LiveTrace, bytes: Uint8Array): void {
  const manifest = decodeManifest(bytes, origin.parameters.pieceBytes);
  if (!(manifest instanceof Malformed)) rights.set(manifest.number, { bytes, manifest });
}

function verdictOn(message: LiveMessage, rights: ReadonlyMap<WindowNumber, Right>): 'right' | 'wrong' | 'unjudged' {
  if (message.kind === 'manifest') {
    const right = rights.get(numberOf(message.bytes));
    if (right === undefined) return 'unjudged';
    return sameBytes(right.bytes, message.bytes) ? 'right' : 'wrong';
  }
  if (message.kind !== 'piece') return 'right';
  const hash = rights.get(message.window)?.manifest.pieceHashes[message.piece];
  if (hash === undefined) return 'unjudged';
  return sameBytes(nodeHasher.sha256(message.payload), hash) ? 'right' : 'wrong';
}

/** Where it stands in every manifest, right or wrong. */
function numberOf(manifest: Uint8Array): WindowNumber {
  return Buffer.from(manifest).readUInt32BE(2);
}

/** Every message with whom it came from. */
function* heardIn({ steps }: LiveTrace): Generator<Heard> {
  const neighbours = new Map<ConnectionId, string>();
  const publishers = new Set<ConnectionId>();
  const memories = new Map<ConnectionId, CertificateMemory>();
  for (const { input } of steps) {
    if (input.kind === 'peer-up') neighbours.set(input.peer, input.peerId ?? input.peer);
    if (input.kind !== 'message') continue;
    const { from, message } = input;
    if (message.kind === 'hello' && message.publisher) publishers.add(from);
    const about = { neighbour: neighbours.get(from) ?? from, byPublisher: publishers.has(from) };
    if (message.kind !== 'manifest') {
      yield { ...about, message };
      continue;
    }
    const memory = memories.get(from) ?? new CertificateMemory();
    memories.set(from, memory);
    const bytes = memory.restore(message);
    if (!(bytes instanceof Malformed)) yield { ...about, message: { kind: 'manifest', ageMs: message.ageMs, bytes } };
  }
}

function readTrace(path: string): LiveTrace {
  const trace = decodeTrace(readFileSync(path));
  if (trace instanceof Malformed) throw new Error(trace.reason);
  return trace;
}
