/**
 * The oracle of a simulated swarm: checked after every step of every honest peer, from what goes in and out of its core alone.
 *
 * Ids as in the algorithm sheet, section 8: L1 (maps tell the truth, and what is gone stays gone), L2 (order), L3 (both timeouts), L4 (requests and timers),
 * L5 (holes), L7 (waits, starts and jumps), B1 (upload limit), B2 (only what is held).
 */
import * as assert from 'uvu/assert';
import { sameBytes } from '../../src/kernel/bytes.js';
import type { ConnectionId, PieceIndex, WindowNumber } from '../../src/kernel/units.js';
import type { LiveMessage } from '../../src/relay/exchange/live-message.js';
import type { LiveEffect, LiveEvent } from '../../src/relay/exchange/live-protocol.js';
import { splitPieces } from '../../src/relay/exchange/manifest.js';
import type { LiveStep, LiveWorldOptions } from '../../src/sim/live-world.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';

type Request = LiveMessage & { kind: 'request' };

type InvariantOptions = Pick<LiveWorldOptions, 'parameters' | 'publisherUpBytesPerSecond' | 'viewerUpBytesPerSecond'>;

/** What the outside knows of one peer. */
class Watched {
  /** True pieces it has cut or been sent. */
  readonly held = new Set<string>();
  /**
   * Those of them that it waited for, from somebody honest. What a liar sends is thrown away with it, true or not; so is what comes when it is not waited for
   * any more, while there is no manifest to check it against.
   */
  readonly heldOfHonest = new Set<string>();
  /** Windows its neighbours have spoken of, or sent something of. */
  readonly announced = new Set<WindowNumber>();
  /** Requests out, by piece: whom. */
  readonly asked = new Map<string, Set<ConnectionId>>();
  /** Whom a piece was asked of since it was last free to be asked for. */
  readonly askedInEpoch = new Map<string, Set<ConnectionId>>();
  readonly timers = new Set<string>();
  readonly uploads: { readonly atMs: number; readonly sizeBytes: number }[] = [];
  lastNumber: WindowNumber | undefined;
  /** The first window it still has, as it last said. */
  tail: WindowNumber = 0;
  secondStageMs = Number.NEGATIVE_INFINITY;
  /** Up to here the last reported gap reaches. */
  skippedTo: WindowNumber = -1;
}

export class LiveInvariants {
  readonly #options: InvariantOptions;
  readonly #watched = new Map<SimPeer, Watched>();
  readonly #honest = new Set<string>();
  readonly #pieces = new Map<WindowNumber, readonly Uint8Array[]>();
  readonly #previous = new Map<WindowNumber, WindowNumber | null>();
  steps = 0;

  constructor(options: InvariantOptions) {
    this.#options = options;
  }

  readonly onStep = (step: LiveStep): void => {
    if (!step.peer.honest) return;
    this.steps += 1;
    this.#honest.add(step.peer.name);
    const watched = this.#watched.get(step.peer) ?? new Watched();
    this.#watched.set(step.peer, watched);
    this.#takeInput(step, watched);
    for (const effect of step.effects) this.#takeEffect(step, effect, watched);
    this.#checkTimers(step, watched);
  };

  #takeInput({ input, peer }: LiveStep, watched: Watched): void {
    if (input.kind === 'command' && input.command.kind === 'publish') this.#cut(input.command.content, watched);
    if (input.kind === 'timer') watched.timers.delete(input.timer);
    if (input.kind === 'peer-down') for (const [piece, peers] of watched.asked) this.#unask(watched, piece, input.peer, peers);
    if (input.kind !== 'message') return;
    const { from, message } = input;
    if (message.kind === 'map') for (const { number } of message.windows) watched.announced.add(number);
    if (message.kind === 'have') watched.announced.add(message.window);
    if (message.kind === 'refuse') for (const piece of message.pieces) this.#unask(watched, `${message.window}:${piece}`, from);
    if (message.kind === 'piece') {
      const isAwaited = watched.asked.get(`${message.window}:${message.piece}`)?.has(from) === true;
      this.#unask(watched, `${message.window}:${message.piece}`, from);
      if (!this.#isTrue(message.window, message.piece, message.payload)) return;
      watched.held.add(`${message.window}:${message.piece}`);
      // What is fed comes before any word of it.
      watched.announced.add(message.window);
      const sender = peer.engine.connections.find(({ id }) => id === from)?.peerId;
      if (isAwaited && sender !== undefined && this.#honest.has(sender)) watched.heldOfHonest.add(`${message.window}:${message.piece}`);
    }
  }

  #cut(content: { number: WindowNumber; previous: WindowNumber | null; bytes: Uint8Array }, watched: Watched): void {
    const pieces = splitPieces(content.bytes, this.#options.parameters.pieceBytes);
    this.#pieces.set(content.number, pieces);
    this.#previous.set(content.number, content.previous);
    for (const piece of pieces.keys()) watched.held.add(`${content.number}:${piece}`);
  }

  #isTrue(number: WindowNumber, piece: PieceIndex, payload: Uint8Array): boolean {
    const known = this.#pieces.get(number)?.[piece];
    return known !== undefined && sameBytes(known, payload);
  }

  #takeEffect(step: LiveStep, effect: LiveEffect, watched: Watched): void {
    if (effect.kind === 'schedule') {
      watched.timers.add(effect.timer);
      if (effect.timer.startsWith('request:')) this.#checkWait(step, effect.delayMs);
    } else if (effect.kind === 'cancel') watched.timers.delete(effect.timer);
    else if (effect.kind === 'disconnect') {
      for (const [piece, peers] of watched.asked) this.#unask(watched, piece, effect.peer, peers);
    } else if (effect.kind === 'emit') this.#checkEvent(step, effect, watched);
    else if (effect.kind === 'send') this.#checkMessage(step, effect.to, effect.message, watched);
  }

  #checkWait({ peer }: LiveStep, delayMs: number): void {
    const { waitMinMs, waitMaxMs } = this.#options.parameters;
    assert.ok(delayMs >= waitMinMs && delayMs <= waitMaxMs, `L7: ${peer.name} waits ${delayMs} ms`);
  }

  #checkMessage(step: LiveStep, to: ConnectionId, message: LiveMessage, watched: Watched): void {
    switch (message.kind) {
      case 'map':
        for (const { number, held } of message.windows)
          this.#checkClaim(step, number, (piece) => held === null || held.has(piece), watched);
        return this.#checkTail(step, message.tail ?? watched.tail, watched);
      case 'have': {
        const { window, pieces } = message;
        return this.#checkClaim(step, window, (piece) => pieces.length === 0 || pieces.includes(piece), watched);
      }
      case 'request':
        return this.#checkRequest(step, to, message, watched);
      case 'cancel':
        for (const piece of message.pieces) this.#unask(watched, `${message.window}:${piece}`, to);
        return;
      case 'piece':
        assert.ok(
          watched.held.has(`${message.window}:${message.piece}`) && this.#isTrue(message.window, message.piece, message.payload),
          `B2: ${step.peer.name} sends piece ${message.piece} of window ${message.window}, which it does not hold`,
        );
        return this.#checkUpload(step, message.payload.length, watched);
    }
  }

  #checkTail({ peer }: LiveStep, tail: WindowNumber, watched: Watched): void {
    assert.ok(tail >= watched.tail, `L1: ${peer.name} has window ${tail} again, and had none below ${watched.tail}`);
    watched.tail = tail;
  }

  #checkClaim({ peer }: LiveStep, number: number, claims: (piece: number) => boolean, watched: Watched): void {
    const pieceCount = this.#pieces.get(number)?.length ?? 0;
    for (let piece = 0; piece < pieceCount; piece++)
      assert.ok(!claims(piece) || watched.held.has(`${number}:${piece}`), `L1: ${peer.name} claims piece ${piece} of window ${number}`);
  }

  #checkRequest({ peer }: LiveStep, to: ConnectionId, request: Request, watched: Watched): void {
    for (const piece of request.pieces) {
      const key = `${request.window}:${piece}`;
      assert.not(watched.held.has(key) && this.#isDelivered(watched, request.window), `L2: ${peer.name} asks for ${key} again`);
      const peers = watched.asked.get(key) ?? new Set();
      watched.asked.set(key, peers.add(to));
      const { hedge } = this.#options.parameters;
      assert.ok(peers.size <= 1 + hedge, `L4: ${peer.name} has asked ${peers.size} neighbours for ${key}`);
      // The original, and the others once; a request that is moved to somebody better begins anew.
      const inEpoch = watched.askedInEpoch.get(key) ?? new Set();
      assert.not(inEpoch.has(to), `L3: ${peer.name} asks ${to} for ${key} again`);
      watched.askedInEpoch.set(key, inEpoch.add(to));
    }
  }

  #isDelivered(watched: Watched, number: WindowNumber): boolean {
    return watched.lastNumber !== undefined && number <= watched.lastNumber;
  }

  #unask(watched: Watched, piece: string, from: ConnectionId, peers = watched.asked.get(piece)): void {
    if (!peers?.delete(from) || peers.size > 0) return;
    watched.asked.delete(piece);
    watched.askedInEpoch.delete(piece);
  }

  /** B1: over any second at most the limit, one burst and one piece leave. */
  #checkUpload({ peer, nowMs }: LiveStep, sizeBytes: number, watched: Watched): void {
    const { publisherUpBytesPerSecond, viewerUpBytesPerSecond, parameters } = this.#options;
    const limit = peer.name === 'publisher' ? publisherUpBytesPerSecond : viewerUpBytesPerSecond;
    if (limit === 0) return;
    watched.uploads.push({ atMs: nowMs, sizeBytes });
    while (watched.uploads[0] && watched.uploads[0].atMs <= nowMs - 1_000) watched.uploads.shift();
    const sentBytes = watched.uploads.reduce((sum, upload) => sum + upload.sizeBytes, 0);
    const burstBytes = Math.max(16_384, limit / 10);
    assert.ok(sentBytes <= limit + burstBytes + parameters.pieceBytes, `B1: ${peer.name} sends ${sentBytes} bytes in a second`);
  }

  #checkEvent({ peer, nowMs }: LiveStep, effect: LiveEffect & { kind: 'emit' }, watched: Watched): void {
    const { event } = effect;
    if (event.kind === 'skipped') {
      assert.ok(event.to > event.from, `L2: ${peer.name} skips from ${event.from} to ${event.to}`);
      assert.ok(watched.announced.has(event.to), `L7: ${peer.name} jumps to ${event.to}, which nobody has`);
      watched.skippedTo = event.to;
    }
    if (event.kind === 'second-stage') {
      const sinceMs = nowMs - watched.secondStageMs;
      assert.ok(sinceMs >= this.#options.parameters.secondStageMs, `L3: ${peer.name} looks for others again after ${sinceMs} ms`);
      watched.secondStageMs = nowMs;
    }
    if (event.kind !== 'window') return;
    const { number } = event.manifest;
    const last = watched.lastNumber;
    assert.ok(last === undefined || number > last, `L2: ${peer.name} plays ${number} after ${last}`);
    const previous = this.#previous.get(number) ?? null;
    const follows = last === undefined || previous === null || previous <= last || watched.skippedTo === number;
    assert.ok(follows, `L2: ${peer.name} plays ${number} after ${last} and has said nothing about ${previous}`);
    assert.ok(last !== undefined || watched.announced.has(number), `L7: ${peer.name} starts at ${number}, which nobody has`);
    this.#checkContent(peer, event, watched);
    watched.lastNumber = number;
  }

  /** L5: what was cut, apart from its gaps; and those are pieces that nobody honest has sent in time, fewer than half of them, and no start of a key frame. */
  #checkContent(peer: SimPeer, { manifest, bytes, gaps }: LiveEvent & { kind: 'window' }, watched: Watched): void {
    const { number, keyMarks, sizeBytes } = manifest;
    const isMissing = (at: number): boolean =>
      gaps.some(({ offsetBytes, lengthBytes }) => at >= offsetBytes && at < offsetBytes + lengthBytes);
    const whole = this.#pieces.get(number)?.every((piece, index) => {
      const at = index * this.#options.parameters.pieceBytes;
      if (isMissing(at)) return !watched.heldOfHonest.has(`${number}:${index}`);
      return sameBytes(bytes.subarray(at, at + piece.length), piece);
    });
    assert.ok(whole, `L5: window ${number} of ${peer.name} is not what was cut`);
    const missingBytes = gaps.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    assert.ok(
      missingBytes <= sizeBytes / 2 + this.#options.parameters.pieceBytes,
      `L5: window ${number} of ${peer.name} lacks ${missingBytes} bytes`,
    );
    assert.not(
      keyMarks.some(({ offsetBytes }) => isMissing(offsetBytes)),
      `L5: window ${number} of ${peer.name} lacks its key frame`,
    );
  }

  /** L4: every request has a timer, and every timer a request. */
  #checkTimers({ peer }: LiveStep, watched: Watched): void {
    for (const piece of watched.asked.keys())
      assert.ok(watched.timers.has(`request:${piece}`), `L4: ${peer.name} waits for ${piece} without a timer`);
  }
}
