/**
 * One UDP announce: a connection id, then the announce itself, each sent again when nothing comes.
 *
 * The npm package's UDP tracker asks over IPv4 only and reads any answer as IPv4, always sends the key 0, and leaves out what stands behind the host, in which
 * private trackers have a user's key.
 *
 * Source: BEP 15.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { Malformed } from '../../kernel/errors.js';
import type { Milliseconds } from '../../kernel/units.js';
import { type Announce, type AnnounceResponse, printable } from './announce.js';
import { decodeUdpAnswer, encodeAnnounce, encodeConnect, type UdpAnswer } from './udp-announce.js';

/** BEP 15 has 15 s here, and twice as much each time: nobody waits so long for peers. */
const RESEND_MS: Milliseconds = 1_000;
/** BEP 15 names none; this is what other clients take. */
const PORT_DEFAULT = 80;

/**
 * Announces, until `signal` ends it.
 *
 * Rejects with an `Error` whose message continues the sentence "The tracker …".
 */
export async function announceByUdp(url: string, announce: Announce, signal: AbortSignal): Promise<AnnounceResponse> {
  // `udp:` is no scheme that `URL` knows the parts of.
  const { hostname, port, pathname, search } = new URL(url.replace(/^udp:/i, 'http:'));
  const address = await addressOf(hostname.replace(/^\[|\]$/g, ''));
  const exchange = new UdpExchange(address, port === '' ? PORT_DEFAULT : Number(port), signal);
  try {
    await exchange.open();
    const connection = await exchange.ask((transaction) => encodeConnect(transaction));
    if (connection.kind !== 'connection') throw new Error(complaintOf(connection));
    const answer = await exchange.ask((transaction) => encodeAnnounce(connection.connectionId, transaction, announce, pathname + search));
    if (answer.kind !== 'answer') throw new Error(complaintOf(answer));
    return answer.response;
  } finally {
    exchange.close();
  }
}

/** IPv4 where a tracker has both: there are more peers. */
async function addressOf(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  const found = await lookup(host, { all: true }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot be reached (${error.code ?? 'no address'})`, { cause: error });
  });
  const address = found.find(({ family }) => family === 4) ?? found[0];
  if (address === undefined) throw new Error('cannot be reached (no address)');
  return address.address;
}

/** A socket that hears of nobody but the tracker. */
class UdpExchange {
  readonly #socket;
  readonly #address: string;
  readonly #port: number;
  readonly #signal: AbortSignal;
  #take: ((bytes: Uint8Array) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #isOpen = true;

  constructor(address: string, port: number, signal: AbortSignal) {
    this.#address = address;
    this.#port = port;
    this.#signal = signal;
    this.#socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    this.#socket.on('message', (bytes) => this.#take?.(bytes));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail?.(unreachable(error)));
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  open(): Promise<void> {
    return this.#within((resolve, reject) => {
      this.#socket.once('connect', resolve);
      try {
        this.#socket.connect(this.#port, this.#address);
      } catch (error) {
        reject(unreachable(error as NodeJS.ErrnoException));
      }
    });
  }

  /** Sends a question, again and again, until its answer comes. */
  async ask(question: (transaction: number) => Uint8Array): Promise<UdpAnswer> {
    const transaction = randomBytes(4).readUInt32BE();
    const bytes = question(transaction);
    const send = (): void =>
      this.#socket.send(bytes, (error) => {
        if (error && this.#isOpen) this.#fail?.(unreachable(error));
      });
    const timer = setInterval(send, RESEND_MS);
    try {
      return await this.#within<UdpAnswer>((resolve, reject) => {
        this.#take = (answer) => {
          const read = decodeUdpAnswer(answer, transaction, isIPv6(this.#address));
          if (read instanceof Malformed) reject(new Error(`answers with something that is no announce response (${read.reason})`));
          else if (read !== undefined) resolve(read);
        };
        send();
      });
    } finally {
      clearInterval(timer);
      this.#take = undefined;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#socket.close();
  }

  readonly #onAbort = (): void => {
    this.#fail?.(new Error('does not answer in time'));
    this.close();
  };

  /** Fails with the socket, and with the time. */
  async #within<Value>(run: (resolve: (value: Value) => void, reject: (error: Error) => void) => void): Promise<Value> {
    if (!this.#isOpen || this.#signal.aborted) throw new Error('does not answer in time');
    try {
      return await new Promise<Value>((resolve, reject) => {
        this.#fail = reject;
        run(resolve, reject);
      });
    } finally {
      this.#fail = undefined;
    }
  }
}

function complaintOf(answer: UdpAnswer): string {
  return answer.kind === 'refusal' ? `refuses: "${printable(answer.reason)}"` : 'answers something that was not asked';
}

function unreachable(error: NodeJS.ErrnoException): Error {
  return new Error(`cannot be reached (${error.code ?? printable(error.message)})`, { cause: error });
}
