/**
 * Where a peer listens: host and port, as text for keys and logs and as the compact bytes of BEP 11 and BEP 23.
 *
 * Hosts are kept in one normal form (dotted IPv4; RFC 5952 IPv6; IPv4-mapped IPv6 as IPv4; names in lower case), so that one
 * peer has one key. Everything here is pure and never throws on remote input.
 *
 * | family | bytes | layout                        |
 * |--------|-------|-------------------------------|
 * | IPv4   | 6     | 4 address, 2 port, big-endian |
 * | IPv6   | 18    | 16 address, 2 port            |
 */
import { Malformed } from './errors.js';

export interface PeerAddress {
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** How far an address reaches. `name` is a host name nobody has resolved yet; `unusable` can never be dialled. */
export type AddressScope = 'loopback' | 'private' | 'public' | 'name' | 'unusable';

/** Which compact form is meant. */
export type AddressFamily = 4 | 6;

const NAME_PATTERN = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/;
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0xffff];

/** `host:port`, with brackets around IPv6: the one key of an address. */
export function formatAddress(address: PeerAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The address in normal form, or undefined when host or port can never be dialled. */
export function makeAddress(host: string, port: number): PeerAddress | undefined {
  const normal = normaliseHost(host);
  if (normal === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return addressScope(normal) === 'unusable' ? undefined : { host: normal, port };
}

/** `host:port` or `[IPv6]:port` as people write it; undefined when it can never be dialled. */
export function parseAddress(text: string): PeerAddress | undefined {
  const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(text.trim()) ?? [];
  return makeAddress(host, Number(port));
}

/** One spelling per host; undefined for what is no host at all. */
export function normaliseHost(host: string): string | undefined {
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  if (bare.length > 253) return undefined;
  const v4 = parseIpv4(bare);
  if (v4 !== undefined) return v4.join('.');
  if (bare.includes(':')) return normaliseIpv6(bare);
  // All digits and dots, yet no address: a name resolver might read it as some other one.
  return NAME_PATTERN.test(bare) && !/^[0-9.]+$/.test(bare) ? bare : undefined;
}

/** What one party is likely to hold: the /24 of an IPv4 host, the /56 of an IPv6 host; a name stands for itself. */
export function addressGroup(host: string): string {
  return networkOf(host, 56);
}

/** What one site is likely to hold: as `addressGroup`, but the /48 of an IPv6 host. */
export function addressBlock(host: string): string {
  return networkOf(host, 48);
}

function networkOf(host: string, ipv6Bits: 48 | 56): string {
  const v4 = parseIpv4(host);
  if (v4 !== undefined) return `${v4.slice(0, 3).join('.')}.0/24`;
  const groups = host.includes(':') ? parseIpv6(host) : undefined;
  if (groups === undefined) return host;
  const fourth = ipv6Bits === 56 ? (groups[3] ?? 0) & 0xff00 : 0;
  return `${formatIpv6([...groups.slice(0, 3), fourth, 0, 0, 0, 0])}/${ipv6Bits}`;
}

/** Where a host in normal form lies. */
export function addressScope(host: string): AddressScope {
  const v4 = parseIpv4(host);
  if (v4 !== undefined) return ipv4Scope(v4[0] ?? 0, v4[1] ?? 0);
  if (!host.includes(':')) return host === 'localhost' ? 'loopback' : 'name';
  const groups = parseIpv6(host);
  return groups === undefined ? 'unusable' : ipv6Scope(groups);
}

/** The compact form of those addresses that are of `family`, in order. */
export function encodeCompact(addresses: readonly PeerAddress[], family: AddressFamily): Uint8Array {
  const bytes: number[] = [];
  for (const { host, port } of addresses) {
    const address = family === 4 ? parseIpv4(host) : parseIpv6(host)?.flatMap((group) => [group >> 8, group & 0xff]);
    if (address !== undefined) bytes.push(...address, port >> 8, port & 0xff);
  }
  return Uint8Array.from(bytes);
}

/** Reads compact addresses; entries that can never be dialled (port 0, multicast and the like) are left out. */
export function decodeCompact(bytes: Uint8Array, family: AddressFamily): PeerAddress[] | Malformed {
  const entryBytes = family === 4 ? 6 : 18;
  if (bytes.length % entryBytes !== 0)
    return new Malformed(`${bytes.length} bytes of compact addresses; expected a multiple of ${entryBytes}`);
  const addresses: PeerAddress[] = [];
  for (let offset = 0; offset < bytes.length; offset += entryBytes) {
    const entry = bytes.subarray(offset, offset + entryBytes);
    const host = family === 4 ? entry.subarray(0, 4).join('.') : formatIpv6(toGroups(entry.subarray(0, 16)));
    const address = makeAddress(host, toGroups(entry.subarray(entryBytes - 2))[0] ?? 0);
    if (address !== undefined) addresses.push(address);
  }
  return addresses;
}

function toGroups(bytes: Uint8Array): number[] {
  const groups: number[] = [];
  for (let i = 0; i + 1 < bytes.length; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  return groups;
}

function parseIpv4(host: string): number[] | undefined {
  const parts = host.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) return undefined;
  const numbers = parts.map(Number);
  return numbers.every((number) => number <= 255) ? numbers : undefined;
}

/** The eight 16-bit groups of an IPv6 address; undefined for anything else, scoped addresses (`%eth0`) included. */
function parseIpv6(host: string): number[] | undefined {
  const halves = withoutDottedTail(host).split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const groups = [...(head ?? []), ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return undefined;
  if (tail === undefined ? groups.length !== 8 : groups.length > 7) return undefined;
  const filling = new Array<string>(8 - groups.length).fill('0');
  return [...(head ?? []), ...filling, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
}

function withoutDottedTail(host: string): string {
  const start = host.lastIndexOf(':') + 1;
  const v4 = parseIpv4(host.slice(start));
  if (v4 === undefined) return host;
  return (
    host.slice(0, start) +
    toGroups(Uint8Array.from(v4))
      .map((group) => group.toString(16))
      .join(':')
  );
}

function normaliseIpv6(host: string): string | undefined {
  const groups = parseIpv6(host);
  return groups === undefined ? undefined : formatIpv6(groups);
}

/** RFC 5952: the longest run of two or more zero groups becomes `::`; a mapped IPv4 address is written as such. */
function formatIpv6(groups: readonly number[]): string {
  if (MAPPED_PREFIX.every((group, i) => groups[i] === group)) {
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.');
  }
  const run = longestZeroRun(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (run.length < 2) return text(groups);
  return `${text(groups.slice(0, run.start))}::${text(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, i) => {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: i - length + 1, length };
  });
  return best;
}

function ipv4Scope(first: number, second: number): AddressScope {
  if (first === 127) return 'loopback';
  if (first === 0 || first >= 224) return 'unusable';
  const shared = first === 100 && second >= 64 && second <= 127;
  const lan = first === 10 || (first === 172 && second >= 16 && second <= 31) || (first === 192 && second === 168);
  return lan || shared || (first === 169 && second === 254) ? 'private' : 'public';
}

function ipv6Scope(groups: readonly number[]): AddressScope {
  const first = groups[0] ?? 0;
  const onlyLast = groups.slice(0, 7).every((group) => group === 0);
  if (onlyLast && groups[7] === 1) return 'loopback';
  // Link-local addresses mean nothing without an interface name, which the compact form does not carry.
  if ((onlyLast && groups[7] === 0) || first >= 0xff00 || (first & 0xffc0) === 0xfe80) return 'unusable';
  return (first & 0xfe00) === 0xfc00 ? 'private' : 'public';
}
