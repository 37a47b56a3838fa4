/**
 * Many MMSH players in a process of their own, so that their cost is not the server's: plain sockets that count packets and look for holes.
 *
 * Started by `MmsCrowd`, which it talks to by messages. A player reads only the heads of chunks; nothing is copied.
 */
import { createConnection } from 'node:net';
import { argv } from 'node:process';

/** What the parent is told when it asks. */
export interface CrowdCount {
  readonly players: number;
  /** Players whose connection has ended, or that were refused. */
  readonly lost: number;
  /** Packets received, of all players. */
  readonly packets: number;
  /** Packets missing between two that a player received. */
  readonly missing: number;
}

const READ_BYTES = 256 * 1024;
const CHUNK_HEAD_BYTES = 12;
const FRAME_BYTES = 4;
const DATA = 0x44;
const OK = /^HTTP\/1\.\d 200 /;
/** A server bounds what one address may ask for in a time; viewers come from many. */
const PLAYERS_PER_ADDRESS = 100;

// Everything arrives here and is looked at before the next read.
const shared = Buffer.alloc(READ_BYTES);
const players: CrowdPlayer[] = [];

class CrowdPlayer {
  lost = false;
  packets = 0;
  missing = 0;
  #newest = -1;
  #head: string | undefined = '';
  #skipBytes = 0;
  /** The beginning of a chunk's head that the last read cut off. */
  #rest: Buffer = Buffer.alloc(0);

  /** Takes what was read; the buffer is used again afterwards. */
  take(bytes: Buffer): void {
    let at = this.#head === undefined ? 0 : this.#takeHead(bytes);
    if (this.#rest.length > 0) {
      const cutOff = this.#rest;
      this.#rest = Buffer.alloc(0);
      return this.take(Buffer.concat([cutOff, bytes]));
    }
    for (;;) {
      const skippedBytes = Math.min(this.#skipBytes, bytes.length - at);
      this.#skipBytes -= skippedBytes;
      at += skippedBytes;
      if (bytes.length - at < CHUNK_HEAD_BYTES) break;
      if (bytes[at + 1] === DATA) this.#count(bytes.readUInt32LE(at + 4));
      this.#skipBytes = FRAME_BYTES + bytes.readUInt16LE(at + 2);
    }
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
  }

  /** Where the body begins, or the end. */
  #takeHead(bytes: Buffer): number {
    const before = this.#head?.length ?? 0;
    const text = (this.#head ?? '') + bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#head = text;
      return bytes.length;
    }
    this.#head = undefined;
    if (!OK.test(text)) this.lost = true;
    return end + 4 - before;
  }

  #count(number: number): void {
    if (this.#newest >= 0) this.missing += Math.max(0, number - this.#newest - 1);
    this.#newest = number;
    this.packets += 1;
  }
}

function open(url: URL, localAddress: string): Promise<void> {
  const player = new CrowdPlayer();
  players.push(player);
  return new Promise((resolve) => {
    const socket = createConnection({
      host: url.hostname,
      port: Number(url.port),
      localAddress,
      onread: {
        buffer: shared,
        callback: (length) => {
          player.take(shared.subarray(0, length));
          return true;
        },
      },
    });
    socket.on('connect', () => {
      socket.write(`GET ${url.pathname} HTTP/1.0\r\nHost: ${url.host}\r\nUser-Agent: NSPlayer/7.10.0.3059\r\nPragma: xPlayStrm=1\r\n\r\n`);
      resolve();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      player.lost = true;
      resolve();
    });
  });
}

function count(): CrowdCount {
  const total = { players: players.length, lost: 0, packets: 0, missing: 0 };
  for (const { lost, packets, missing } of players) {
    total.lost += lost ? 1 : 0;
    total.packets += packets;
    total.missing += missing;
  }
  return total;
}

const [, , address = '', wanted = '0'] = argv;
process.on('disconnect', () => process.exit(0));
process.on('message', () => process.send?.(count()));
const url = new URL(address);
for (let index = 0; index < Number(wanted); index++) {
  await open(url, `127.0.1.${1 + Math.floor(index / PLAYERS_PER_ADDRESS)}`);
}
process.send?.(count());
