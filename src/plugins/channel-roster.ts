/**
 * All channels that a station has, running or not: the test card, those of the configuration, those made or taken over on the command line.
 */
import { type ChannelDescriptor, canonicalSource, channelId, decodeDescriptor, encodeDescriptor } from '../ingest/channel.js';
import { nodeHasher } from '../io/crypto.js';
import type { KeyFile, StoredChannel } from '../io/files/key-file.js';
import { sameBytes } from '../kernel/bytes.js';
import { invariant, Malformed, ShoalError } from '../kernel/errors.js';
import type { InfoHash } from '../kernel/units.js';
import { slugOf } from './channel-slug.js';
import type { ShoalConfig } from './config.js';
import { type DeclaredChannel, declareChannels } from './declared-channel.js';
import { type Grant, parseGrant } from './grant.js';

export const TEST_CARD_NAME = 'Test card';
export const TEST_CARD: DeclaredChannel = {
  slug: slugOf(TEST_CARD_NAME, 'card'),
  name: TEST_CARD_NAME,
  source: 'test card',
  container: 'flv',
};

export interface RosterEntry {
  readonly declared: DeclaredChannel;
  readonly id: InfoHash;
  readonly descriptor: ChannelDescriptor;
  /** This station holds the owner's key. */
  readonly owned: boolean;
}

/** @throws ShoalError as `declareChannels` and the keys file do. */
export function channelRoster(config: ShoalConfig, keys: KeyFile, owner: Uint8Array): readonly RosterEntry[] {
  const { channels, testCard } = config.station;
  const declared = [...(testCard ? [TEST_CARD] : []), ...declareChannels(channels, testCard ? [TEST_CARD_NAME] : [])];
  const { grants } = keys.authority();
  const taken = new Set(declared.map(({ slug }) => slug));
  const stored = keys.channels().filter(({ slug }) => !taken.has(slug));
  return [...declared, ...stored.map((channel) => withGrant(channel, grants))].map((channel) => rosterEntry(channel, config, owner));
}

/**
 * A stored channel with the grant it lives by.
 *
 * @throws ShoalError `GRANT_REFUSED` when there should be one and none can be read.
 */
export function withGrant(channel: StoredChannel, grants: ReadonlyMap<InfoHash, string>): DeclaredChannel {
  if (channel.granted === undefined) return channel;
  const grant: Grant | Malformed = parseGrant(grants.get(channel.granted) ?? '');
  if (grant instanceof Malformed)
    throw new ShoalError('GRANT_REFUSED', `channel "${channel.name}": its grant cannot be read (${grant.reason}). Accept it once more.`);
  return { ...channel, grant };
}

/**
 * The channel's descriptor as bytes: the grant's where there is one, else made from the source and the configuration.
 *
 * @throws ShoalError `CHANNEL_NAME` when the source cannot be part of a descriptor.
 */
export function descriptorOf(declared: DeclaredChannel, { live }: ShoalConfig, owner: Uint8Array): Uint8Array {
  if (declared.grant) return declared.grant.descriptorBytes;
  const source = canonicalSource(declared.source);
  if (source instanceof Malformed) {
    throw new ShoalError('CHANNEL_NAME', `channel "${declared.name}": its source "${declared.source}" cannot be used: ${source.reason}`);
  }
  const { windowMs, pieceBytes } = live;
  return encodeDescriptor({ container: declared.container, source, windowMs, pieceBytes, owner: declared.open ? null : owner });
}

function rosterEntry(declared: DeclaredChannel, config: ShoalConfig, owner: Uint8Array): RosterEntry {
  const bytes = descriptorOf(declared, config, owner);
  const descriptor = decodeDescriptor(bytes);
  invariant(!(descriptor instanceof Malformed), 'A descriptor that was just made can be read.');
  return { declared, id: channelId(bytes, nodeHasher), descriptor, owned: descriptor.owner !== null && sameBytes(descriptor.owner, owner) };
}
