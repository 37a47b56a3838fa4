/**
 * Which address of this machine others can reach it by, as far as the machine itself knows.
 */
import { networkInterfaces } from 'node:os';

/**
 * The first IPv4 address that is not loopback, else `127.0.0.1`. A machine behind a router gets its address inside; what the router's outer
 * address is, only the operator knows (`swarm.publicHost`).
 */
export function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) if (address.family === 'IPv4' && !address.internal) return address.address;
  }
  return '127.0.0.1';
}

/** Every address of this machine's interfaces, in the form the operating system gives. */
export function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)));
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
