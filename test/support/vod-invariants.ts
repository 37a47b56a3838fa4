/**
 * The oracle of a simulated swarm of titles: checked after every step of every honest session, from what goes in and out of its core alone.
 *
 * Ids as in the algorithm sheet, section 8: B1 (upload limit), B2 (only what is held and verified), B4 (continuity of what is played), M4 (caching
 * modes).
 */
import * as assert from 'uvu/assert';
import type { VodPeer, VodStep, VodTask } from '../../src/sim/vod-peer.js';
import type { VodWorld } from '../../src/sim/vod-world.js';
import type { PeerMessage } from '../../src/vod/peer-message.js';
import type { TitleEffect } from '../../src/vod/title-protocol.js';

const BLOCK_BYTES = 16_384;
const SECOND_MS = 1_000;
/** Reads that are under way when a limit is reached, and the place in the line that is booked ahead. */
const SLACK_BLOCKS = 3;
/** Requests to one neighbour at once: what ordinary clients accept. */
const REQUESTS_MAX = 512;

class Watched {
  /** Blocks asked of a neighbour and not answered. */
  readonly asked = new Map<string, Set<string>>();
  readonly complete = new Set<number>();
  /** The session may fetch nothing that no reader waits for. */
  isPaused = false;
}

export class VodInvariants {
  readonly #tasks = new Map<VodTask, Watched>();
  readonly #uploads = new Map<VodPeer, { readonly atMs: number; readonly sizeBytes: number }[]>();
  steps = 0;

  readonly onStep = (step: VodStep): void => {
    const { task, input } = step;
    if (task.peer.options.habit !== 'honest') return;
    this.steps += 1;
    const watched = this.#tasks.get(task) ?? new Watched();
    this.#tasks.set(task, watched);
    if (input.kind === 'command' && input.command.kind === 'allow') watched.isPaused = input.command.bulkBytesPerSecond === 0;
    if (input.kind === 'message') takeAnswer(watched, input.from, input.message);
    if (input.kind === 'peer-down') watched.asked.delete(input.peer);
    for (const effect of step.effects) this.#checkEffect(step, effect, watched);
  };

  /** At the end: what every player has done with its time adds up. */
  checkPlayers(world: VodWorld): void {
    for (const peer of world.peers) {
      for (const { record } of peer.players) {
        const sumMs = (record.startUpMs ?? 0) + record.seekMs.reduce((sum, ms) => sum + ms, 0) + record.stallMs + record.playedMs;
        const lifeMs = (peer.leftMs ?? world.clock.nowMs()) - peer.options.joinedMs;
        assert.ok(sumMs <= lifeMs + 1, `B4: ${peer.name} played, stalled and waited for ${sumMs} ms of ${lifeMs}`);
        assert.ok(record.playedMs <= lifeMs + 1 && record.playedMs >= 0, `B4: ${peer.name} played ${record.playedMs} ms`);
      }
    }
  }

  #checkEffect(step: VodStep, effect: TitleEffect, watched: Watched): void {
    const { task } = step;
    if (effect.kind === 'disconnect') watched.asked.delete(effect.peer);
    if (effect.kind === 'send') this.#checkMessage(step, effect.to, effect.message, watched);
    if (effect.kind !== 'emit' || effect.event.kind !== 'piece-complete') return;
    const { piece } = effect.event;
    assert.not.ok(watched.complete.has(piece), `B4: ${task.peer.name} completes piece ${piece} twice`);
    assert.ok(task.store.isRight(piece), `B2: ${task.peer.name} completes piece ${piece}, which is wrong`);
    watched.complete.add(piece);
  }

  #checkMessage({ task, nowMs }: VodStep, to: string, message: PeerMessage, watched: Watched): void {
    const { name } = task.peer;
    if (message.kind === 'have') assert.ok(task.store.has(message.piece), `B2: ${name} announces piece ${message.piece}, which it lacks`);
    if (message.kind === 'cancel') watched.asked.get(to)?.delete(`${message.piece}:${message.offsetBytes}`);
    if (message.kind === 'piece') {
      assert.ok(task.store.has(message.piece), `B2: ${name} sends a block of piece ${message.piece}, which it lacks`);
      this.#checkUpload(task.peer, message.bytes.length, nowMs);
    }
    if (message.kind !== 'request') return;
    const asked = watched.asked.get(to) ?? new Set();
    watched.asked.set(to, asked);
    const block = `${message.piece}:${message.offsetBytes}`;
    assert.not.ok(asked.has(block), `${name} asks ${to} twice for ${block}`);
    assert.not.ok(task.store.has(message.piece), `${name} asks for piece ${message.piece}, which it has`);
    asked.add(block);
    assert.ok(asked.size <= REQUESTS_MAX, `${name} has ${asked.size} requests at one neighbour`);
    if (watched.isPaused) assert.ok(task.peer.watching === task, `M4: ${name} fetches beside what is watched, and must not`);
  }

  #checkUpload(peer: VodPeer, sizeBytes: number, nowMs: number): void {
    const limit = peer.options.upLimitBytesPerSecond;
    if (limit === 0) return;
    const uploads = this.#uploads.get(peer) ?? [];
    this.#uploads.set(peer, uploads);
    uploads.push({ atMs: nowMs, sizeBytes });
    while (uploads[0] && uploads[0].atMs <= nowMs - SECOND_MS) uploads.shift();
    const sentBytes = uploads.reduce((sum, upload) => sum + upload.sizeBytes, 0);
    const mostBytes = limit + Math.max(BLOCK_BYTES, limit / 10) + SLACK_BLOCKS * BLOCK_BYTES;
    assert.ok(sentBytes <= mostBytes, `B1: ${peer.name} sends ${sentBytes} of ${mostBytes} bytes in a second`);
  }
}

function takeAnswer({ asked }: Watched, from: string, message: PeerMessage): void {
  if (message.kind === 'piece' || message.kind === 'reject') asked.get(from)?.delete(`${message.piece}:${message.offsetBytes}`);
  if (message.kind === 'dont-have') {
    for (const block of asked.get(from) ?? []) if (block.startsWith(`${message.piece}:`)) asked.get(from)?.delete(block);
  }
}
