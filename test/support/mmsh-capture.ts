/** Everything an MMSH server sends to one player, taken down byte by byte with none of our own code in between: what others are compared with. */
import { connect, type Socket } from 'node:net';

export interface CapturedPacket {
  readonly locationId: number;
  readonly payload: Buffer;
  /** Time on `performance`'s clock. */
  readonly arrivedMs: number;
}

const FRAME_BYTES = 4;
/** Frame and sub-header of `$H` and `$D`. */
const HEAD_BYTES = 12;
const HEADER = 0x48;
const DATA = 0x44;

export class MmshCapture {
  readonly packets: CapturedPacket[] = [];
  /** Of every `$H`, whole. */
  readonly headers: Buffer[] = [];
  /** Whether the server has closed the connection, or could not be reached. */
  ended = false;
  /** Status line and header lines of the answer. */
  answer = '';
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  constructor(
    readonly port: number,
    readonly path: string,
  ) {
    const request = `GET ${path} HTTP/1.0\r\nUser-Agent: NSPlayer/7.10.0.3059\r\nHost: 127.0.0.1:${port}\r\nPragma: xPlayStrm=1\r\n\r\n`;
    this.#socket = connect(port, '127.0.0.1', () => this.#socket.write(request));
    this.#socket.on('data', (bytes) => this.#take(bytes));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.ended = true;
    });
  }

  stop(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (this.answer === '' && !this.#takeAnswer()) return;
    while (this.#rest.length >= FRAME_BYTES && this.#takeChunk());
  }

  #takeAnswer(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    this.answer = this.#rest.subarray(0, end).toString('latin1');
    this.#rest = this.#rest.subarray(end + 4);
    return true;
  }

  #takeChunk(): boolean {
    const endBytes = FRAME_BYTES + this.#rest.readUInt16LE(2);
    if (this.#rest.length < endBytes) return false;
    const payload = Buffer.from(this.#rest.subarray(HEAD_BYTES, endBytes));
    const letter = this.#rest[1];
    if (letter === HEADER) this.headers.push(payload);
    if (letter === DATA) this.packets.push({ locationId: this.#rest.readUInt32LE(4), payload, arrivedMs: performance.now() });
    this.#rest = this.#rest.subarray(endBytes);
    return true;
  }
}

/**
 * How the packets of one server differ from those of another, which numbers them in its own way, from the first received one on; null when
 * every byte of every packet is equal, in the same order and without a gap.
 */
export function packetDifference(sent: readonly CapturedPacket[], received: readonly CapturedPacket[]): string | null {
  const [first] = received;
  if (first === undefined) return 'nothing was received';
  const start = sent.findIndex(({ payload }) => payload.equals(first.payload));
  if (start < 0) return 'the first packet was never sent';
  const at = received.findIndex(({ payload }, index) => sent[start + index]?.payload.equals(payload) !== true);
  if (at < 0) return null;
  const wanted = sent[start + at];
  const elsewhere = sent.findIndex(({ payload }) => payload.equals(received[at]?.payload ?? Buffer.alloc(0)));
  return `packet ${at} of ${received.length} should be the source's ${wanted?.locationId ?? 'next, which was not seen'}, and is ${sent[elsewhere]?.locationId ?? 'none of them'}`;
}
