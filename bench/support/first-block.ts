/** A peer that wants the first block of a title, from the first moment somebody listens: when a seeder that was just started gives something. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const RETRY_MS = 1;
const LIMIT_MS = 120_000;
const HANDSHAKE_BYTES = 68;
const LENGTH_BYTES = 4;
const BLOCK_BYTES = 16_384;
const [UNCHOKE, INTERESTED, REQUEST, PIECE] = [1, 2, 6, 7];

/** Milliseconds from the call to the block. */
export async function whenFirstBlock(port: number, infoHash: string): Promise<number> {
  const startedMs = performance.now();
  while (performance.now() - startedMs < LIMIT_MS) {
    if (await ask(port, infoHash)) return performance.now() - startedMs;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error(`no block after ${LIMIT_MS / 1000} s`);
}

/** Whether a block came before the connection ended; refused while nobody listens. */
function ask(port: number, infoHash: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const ids = messageIds();
    ids.next();
    socket.on('error', () => undefined).on('close', () => resolve(false));
    socket.on('connect', () => socket.write(Buffer.concat([handshake(infoHash), message(INTERESTED)])));
    socket.on('data', (chunk) => {
      const heard = ids.next(chunk).value ?? [];
      if (heard.includes(UNCHOKE)) socket.write(message(REQUEST, [0, 0, BLOCK_BYTES]));
      if (!heard.includes(PIECE)) return;
      resolve(true);
      socket.destroy();
    });
  });
}

function handshake(infoHash: string): Buffer {
  const head = Buffer.concat([Buffer.of(19), Buffer.from('BitTorrent protocol'), Buffer.alloc(8)]);
  return Buffer.concat([head, Buffer.from(infoHash, 'hex'), Buffer.from('-XX0000-'), randomBytes(12)]);
}

function message(id: number, words: readonly number[] = []): Buffer {
  const bytes = Buffer.alloc(5 + words.length * 4);
  bytes.writeUInt32BE(bytes.length - 4);
  bytes[4] = id;
  for (const [index, word] of words.entries()) bytes.writeUInt32BE(word, 5 + index * 4);
  return bytes;
}

/** Given what comes in, gives the ids of the messages that end with it. */
function* messageIds(): Generator<number[], never, Buffer> {
  let rest = Buffer.alloc(0);
  let skippedBytes = HANDSHAKE_BYTES;
  for (let ids: number[] = []; ; ) {
    rest = Buffer.concat([rest, yield ids]);
    ids = [];
    const taken = Math.min(skippedBytes, rest.length);
    skippedBytes -= taken;
    rest = rest.subarray(taken);
    while (rest.length >= LENGTH_BYTES && rest.length >= LENGTH_BYTES + rest.readUInt32BE(0)) {
      const end = LENGTH_BYTES + rest.readUInt32BE(0);
      if (end > LENGTH_BYTES) ids.push(rest[LENGTH_BYTES] as number);
      rest = rest.subarray(end);
    }
  }
}
