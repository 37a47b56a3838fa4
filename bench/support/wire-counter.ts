/**
 * What processes really send each other over TCP, as the system counts it for each socket (`ss` of iproute2).
 *
 * Only sockets whose both ends belong to the processes are counted: those of the swarm, not those of players and scripts.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** IP version 4 and TCP, without options. */
const HEADER_BYTES = 40;

export interface WireCount {
  /** Payload of TCP. */
  readonly sentBytes: number;
  /** Of segments that carried any. */
  readonly headerBytes: number;
}

/** By local and remote port. */
export type WireCounts = ReadonlyMap<string, WireCount>;

/** Undefined where `ss` is missing. */
export async function wireCounts(pids: ReadonlySet<number>): Promise<WireCounts | undefined> {
  const output = await run('ss', ['-tinpHO', 'state', 'established'], { maxBuffer: 64 * 1024 * 1024 }).catch(() => undefined);
  if (output === undefined) return undefined;
  const sockets = output.stdout.split('\n').flatMap((line) => socketOf(line, pids) ?? []);
  const locals = new Set(sockets.map(({ local }) => local));
  return new Map(sockets.filter(({ remote }) => locals.has(remote)).map(({ local, remote, count }) => [`${local} ${remote}`, count]));
}

/** What was sent between the two on sockets that were there at the end. */
export function wireDelta(before: WireCounts, after: WireCounts): WireCount {
  let [sentBytes, headerBytes] = [0, 0];
  for (const [key, count] of after) {
    const earlier = before.get(key) ?? { sentBytes: 0, headerBytes: 0 };
    sentBytes += count.sentBytes - earlier.sentBytes;
    headerBytes += count.headerBytes - earlier.headerBytes;
  }
  return { sentBytes, headerBytes };
}

function socketOf(line: string, pids: ReadonlySet<number>): { local: string; remote: string; count: WireCount } | undefined {
  const [, local, remote] = /^\d+\s+\d+\s+\S*?:(\d+)\s+\S*?:(\d+)\s/.exec(line) ?? [];
  const pid = Number(/pid=(\d+)/.exec(line)?.[1]);
  if (local === undefined || remote === undefined || !pids.has(pid)) return undefined;
  const value = (name: string): number => Number(new RegExp(`\\b${name}:(\\d+)`).exec(line)?.[1] ?? 0);
  return { local, remote, count: { sentBytes: value('bytes_sent'), headerBytes: value('data_segs_out') * HEADER_BYTES } };
}
