/**
 * Where others reach this station: the host, trackers and peer addresses that go into links and grants.
 */
import { isLoopback, ownAddress } from '../io/own-address.js';
import type { ShoalConfig } from './config.js';

/** The ports that listeners have; null or 0: there is none, or nobody knows which. */
export interface PublicPorts {
  readonly swarm: number;
  readonly trackerHttp: number | null;
  readonly trackerUdp: number | null;
}

export interface PublicAddresses {
  /** Announce URLs, this station's own first. */
  readonly trackers: readonly string[];
  /** `host:port`. */
  readonly peers: readonly string[];
}

/** The name or address by which others reach this machine. */
export function publicHost({ swarm }: ShoalConfig): string {
  if (swarm.publicHost !== 'auto') return swarm.publicHost;
  return isLoopback(swarm.host) ? swarm.host : ownAddress();
}

/**
 * Where other machines fetch files by HTTP, as `http://192.0.2.7:8080/seed/`; null when the web server can be reached from this machine alone.
 * A name in `swarm.publicHost` counts for the web server too.
 */
export function publicSeedBase(config: ShoalConfig, port: number): string | null {
  const { host } = config.relay.http;
  if (isLoopback(host)) return null;
  const outside = config.swarm.publicHost !== 'auto' ? config.swarm.publicHost : isWildcard(host) ? ownAddress() : host;
  if (isLoopback(outside)) return null;
  return `http://${outside.includes(':') ? `[${outside}]` : outside}:${port}/seed/`;
}

export function publicAddresses(config: ShoalConfig, { swarm, trackerHttp, trackerUdp }: PublicPorts): PublicAddresses {
  const outside = publicHost(config);
  const host = isLoopback(config.tracker.host) ? config.tracker.host : outside;
  return {
    trackers: [
      ...(trackerHttp ? [`http://${host}:${trackerHttp}/announce`] : []),
      ...(trackerUdp ? [`udp://${host}:${trackerUdp}`] : []),
      ...config.tracker.announce,
    ],
    peers: swarm ? [`${outside}:${swarm}`] : [],
  };
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** As the configuration has it, for a command that runs beside the station. A port of 0 is any free one, so there it is left out. */
export function configuredAddresses(config: ShoalConfig): PublicAddresses {
  const tracker = config.tracker.enabled ? config.tracker.port : null;
  return publicAddresses(config, { swarm: config.swarm.port, trackerHttp: tracker, trackerUdp: tracker });
}
