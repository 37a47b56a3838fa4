/**
 * Uplinks that the kernel narrows: each process in a network namespace of its own, joined by a bridge, so that sockets, congestion control and the queue in front of the
 * line are those of a real machine. Linux only, as root, with `ip` and `tc` of iproute2.
 *
 * What a line carries waits in a queue of `queueBytes`, as in a modem; what does not fit is lost. Players outside are served beside it, from `PLAYER_PORT`. There is no
 * delay but that of the queue. All of it is gone after `stop`.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Addresses of a block that is meant for private networks; the bridge has the first one. */
const BLOCK = '10.77.0';
const BRIDGE = 'shoal-lines';
/** Where a process behind a line serves players. */
export const PLAYER_PORT = 8_080;
/** Of the bridge, and of whoever is not behind a line. */
export const OPEN_ADDRESS = `${BLOCK}.1`;
const FIRST_HOST = 10;
/** What leaves at once at the full rate of the machine: two packets. */
const BURST_BYTES = 3_000;

export interface NarrowLine {
  readonly address: string;
  /** What stands before a command so that it runs behind the line. */
  readonly within: readonly string[];
}

export interface NarrowLineOptions {
  readonly upBytesPerSecond: number;
  readonly queueBytes: number;
  /** By its name in the kernel. */
  readonly congestionControl: string;
}

export class NarrowLines {
  readonly #namespaces: string[] = [];

  static async start(): Promise<NarrowLines> {
    await ip(`link add ${BRIDGE} type bridge`);
    await ip(`address add ${OPEN_ADDRESS}/24 dev ${BRIDGE}`);
    await ip(`link set ${BRIDGE} up`);
    return new NarrowLines();
  }

  async add({ upBytesPerSecond, queueBytes, congestionControl }: NarrowLineOptions): Promise<NarrowLine> {
    const number = this.#namespaces.length;
    const [name, outside, address] = [`${BRIDGE}-${number}`, outsideOf(number), `${BLOCK}.${FIRST_HOST + number}`];
    await ip(`netns add ${name}`);
    this.#namespaces.push(name);
    await ip(`link add ${outside} type veth peer name eth0 netns ${name}`);
    await ip(`link set ${outside} master ${BRIDGE} up`);
    await ip(`-n ${name} address add ${address}/24 dev eth0`);
    await ip(`-n ${name} link set eth0 up`);
    await ip(`-n ${name} link set lo up`);
    await ip(`-n ${name} route change ${BLOCK}.0/24 dev eth0 congctl ${congestionControl}`);
    const tc = (words: string) => command('tc', `-n ${name} ${words}`);
    const rate = `${Math.round(upBytesPerSecond * 8)}bit`;
    await tc('qdisc add dev eth0 root handle 1: htb default 10');
    await tc(`class add dev eth0 parent 1: classid 1:10 htb rate ${rate} ceil ${rate} burst ${BURST_BYTES}b cburst ${BURST_BYTES}b`);
    await tc('class add dev eth0 parent 1: classid 1:20 htb rate 1gbit quantum 60000');
    await tc(`qdisc add dev eth0 parent 1:10 handle 10: bfifo limit ${queueBytes}`);
    await tc(`filter add dev eth0 parent 1: protocol ip u32 match ip sport ${PLAYER_PORT} 0xffff flowid 1:20`);
    return { address, within: ['ip', 'netns', 'exec', name] };
  }

  async stop(): Promise<void> {
    for (const [number, name] of this.#namespaces.splice(0).entries()) {
      // With its namespace it would go too, but later: the next run may want the name.
      await ip(`link delete ${outsideOf(number)}`);
      await ip(`netns delete ${name}`);
    }
    await ip(`link delete ${BRIDGE}`);
  }
}

/** The end of its line at the bridge. */
function outsideOf(number: number): string {
  return `shoal-line${number}`;
}

function ip(words: string): Promise<void> {
  return command('ip', words);
}

async function command(name: string, words: string): Promise<void> {
  await run(name, words.split(' '));
}
