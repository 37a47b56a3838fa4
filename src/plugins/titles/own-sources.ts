/**
 * Where a title that is published here is to be had because it is here: the trackers, web seeds and addresses of this process, and the link and the torrent that name
 * them. Of what came from elsewhere its own trackers know.
 */
import { makeAddress, type PeerAddress } from '../../kernel/peer-address.js';
import { formatMagnet, type MagnetLink } from '../../vod/magnet-link.js';
import type { Metainfo } from '../../vod/metainfo.js';
import { encodeTorrent } from '../../vod/torrent-draft.js';
import type { TitleEntry } from './title-entry.js';
import type { TitlesContext } from './titles-context.js';

type OwnAddresses = Pick<TitlesContext, 'trackers' | 'seedBase' | 'peerAddresses'>;

export interface OwnSources {
  /** Our own and the configured ones. */
  readonly trackers: readonly string[];
  /** Below it lie the files, as every web seed has them. */
  readonly webSeeds: readonly string[];
  /** Whoever has the link comes here, even without a tracker. */
  readonly peers: readonly PeerAddress[];
}

const NOTHING: OwnSources = { trackers: [], webSeeds: [], peers: [] };

/** @param metainfo undefined before it has come. */
export function ownSources(
  { trackers, seedBase, peerAddresses }: OwnAddresses,
  entry: TitleEntry,
  metainfo: Metainfo | undefined,
): OwnSources {
  if (!entry.published) return NOTHING;
  // A private title belongs to the trackers that were named for it.
  const isElsewhere = metainfo?.isPrivate === true && metainfo.trackerTiers.length > 0;
  return {
    trackers: isElsewhere ? [] : trackers,
    webSeeds: seedBase !== null && entry.publicSeed ? [`${seedBase}${entry.id}/`] : [],
    peers: peerAddresses.flatMap((text) => {
      const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(text) ?? [];
      return makeAddress(host, Number(port)) ?? [];
    }),
  };
}

/** The link that brings others here. */
export function linkTo(own: OwnSources, link: MagnetLink, metainfo: Metainfo | undefined): string {
  return formatMagnet({
    ...link,
    name: (metainfo?.name ?? link.name) || undefined,
    trackers: unique([...link.trackers, ...(metainfo?.trackerTiers.flat() ?? []), ...own.trackers]),
    webSeeds: unique([...link.webSeeds, ...(metainfo?.webSeeds ?? []), ...own.webSeeds]),
    peers: metainfo?.isPrivate === true ? [] : [...link.peers, ...own.peers],
  });
}

/** The `.torrent` file that brings others here. */
export function torrentTo(own: OwnSources, metainfo: Metainfo): Uint8Array {
  const { trackerTiers, webSeeds } = metainfo;
  const added = own.trackers.filter((url) => !trackerTiers.flat().includes(url));
  return encodeTorrent({
    ...metainfo,
    trackerTiers: added.length > 0 ? [...trackerTiers, added] : trackerTiers,
    webSeeds: unique([...webSeeds, ...own.webSeeds]),
  });
}

export function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
