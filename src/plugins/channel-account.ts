/**
 * What `shoal channel show` tells: this station as a publisher, and of one channel who owns it, who may publish it, and who may not any more.
 */
import { formatMagnet } from '../ingest/channel-link.js';
import type { InfoHash, Milliseconds } from '../kernel/units.js';
import type { Certificate } from '../relay/exchange/certificate.js';
import { isRevoked, type RevocationList } from '../relay/exchange/revocation-list.js';
import type { RosterEntry } from './channel-roster.js';
import { channelNamed, type DelegationDesk, delegationsOf, listOf, roster } from './delegation.js';
import { configuredAddresses } from './public-address.js';
import { dateOf } from './station-authority.js';

export type CertificateState = 'valid' | 'not yet valid' | 'expired' | 'withdrawn';

export interface CertificateAccount {
  /** ISO 8601, UTC. */
  readonly from: string;
  readonly until: string;
  readonly state: CertificateState;
}

export interface PublisherAccount extends CertificateAccount {
  readonly key: string;
  readonly label: string;
}

export interface ChannelAccount {
  readonly id: InfoHash;
  readonly name: string;
  /** Magnet form; null while no address is known by which to find it. */
  readonly link: string | null;
  readonly container: 'flv' | 'asf';
  readonly source: string;
  /** Hex; null for an open channel. */
  readonly ownerKey: string | null;
  /** This station holds the owner's key. */
  readonly owned: boolean;
  /** This station's own publisher key. */
  readonly publisherKey: string;
  /** From the grant that was accepted here; null where the station delegates its key to itself while it runs. */
  readonly certificate: CertificateAccount | null;
  /** Publishers that were delegated here. */
  readonly publishers: readonly PublisherAccount[];
  /** Keys on the newest list: certificates that begin before `since` are void. */
  readonly withdrawn: readonly { readonly key: string; readonly since: string }[];
}

export interface StationAccount {
  readonly publisherKey: string;
  readonly channels: readonly { readonly id: InfoHash; readonly name: string; readonly right: 'owner' | 'granted' | 'open' }[];
}

export function stationAccount(desk: DelegationDesk): StationAccount {
  const channels = roster(desk).map(({ id, declared, owned, descriptor }) => {
    const right = descriptor.owner === null ? ('open' as const) : owned ? ('owner' as const) : ('granted' as const);
    return { id, name: declared.name, right };
  });
  return { publisherKey: hexOf(desk.publisher.publicKey), channels };
}

/** @throws ShoalError `CHANNEL_UNKNOWN`. */
export function channelAccount(desk: DelegationDesk, name: string): ChannelAccount {
  const entry = channelNamed(desk, name);
  const { id, declared, descriptor, owned } = entry;
  const list = listOf(desk.keys, id);
  const granted = declared.grant?.certificate;
  return {
    id,
    name: declared.name,
    link: linkOf(desk, entry),
    container: descriptor.container,
    source: descriptor.source,
    ownerKey: descriptor.owner ? hexOf(descriptor.owner) : null,
    owned,
    publisherKey: hexOf(desk.publisher.publicKey),
    certificate: granted ? certificateAccount(granted, list, desk.nowMs) : null,
    publishers: delegationsOf(desk.keys, id).map(({ key, label, certificate }) => ({
      key,
      label,
      ...certificateAccount(certificate, list, desk.nowMs),
    })),
    withdrawn: (list?.entries ?? []).map(({ key, sinceMs }) => ({ key: hexOf(key), since: dateOf(sinceMs) })),
  };
}

export function stationAccountLines({ publisherKey, channels }: StationAccount): readonly string[] {
  return [
    `Publisher key of this station   ${publisherKey}`,
    ...channels.map(({ name, id, right }) => `${name}   ${id}   ${RIGHTS[right]}`),
    ...(channels.length === 0 ? ['There is no channel yet: shoal channel create "My channel"'] : []),
  ];
}

export function channelAccountLines(account: ChannelAccount): readonly string[] {
  const { certificate } = account;
  return [
    `Channel "${account.name}"`,
    `  Id             ${account.id}`,
    `  Link           ${account.link ?? 'not known: the ports are 0, so ask the running station'}`,
    `  Source         ${account.source} (${account.container})`,
    `  Owner          ${account.ownerKey ? `${account.ownerKey}${account.owned ? ' (this station)' : ''}` : 'nobody: everybody may publish it'}`,
    `  This station   ${account.publisherKey}`,
    ...(certificate ? [`  Certificate    ${term(certificate)}`] : []),
    ...account.publishers.map((one) => `  Publisher      ${one.key}   ${one.label === '' ? '' : `${one.label}   `}${term(one)}`),
    ...account.withdrawn.map(({ key, since }) => `  Withdrawn      ${key}   certificates from before ${since}`),
  ];
}

const RIGHTS = { owner: 'owned by this station', granted: 'published by a grant of its owner', open: 'open to everybody' };

function term({ from, until, state }: CertificateAccount): string {
  return `${from} to ${until}, ${state}`;
}

function certificateAccount(certificate: Certificate, list: RevocationList | undefined, nowMs: Milliseconds): CertificateAccount {
  return { from: dateOf(certificate.fromMs), until: dateOf(certificate.untilMs), state: stateOf(certificate, list, nowMs) };
}

function stateOf(certificate: Certificate, list: RevocationList | undefined, nowMs: Milliseconds): CertificateState {
  if (isRevoked(list, certificate)) return 'withdrawn';
  if (nowMs >= certificate.untilMs) return 'expired';
  return nowMs < certificate.fromMs ? 'not yet valid' : 'valid';
}

function linkOf({ config }: DelegationDesk, { id, declared }: RosterEntry): string | null {
  const own = configuredAddresses(config);
  const trackers = [...new Set([...own.trackers, ...(declared.grant?.trackers ?? [])])];
  const peers = [...new Set([...own.peers, ...(declared.grant?.peers ?? [])])];
  return trackers.length + peers.length === 0 ? null : formatMagnet({ id, name: declared.name, trackers, peers });
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
