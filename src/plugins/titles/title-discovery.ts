/**
 * All ways by which one title comes by its peers: trackers in their tiers, the DHT, the local network, and the peers that its link names.
 *
 * A private title (BEP 27) has its trackers and nothing else, one of them at a time, and lets its peers go when it changes over. With a magnet link
 * that is learnt with the metadata: from then on the other ways are closed. Trackers are told what was transferred since they were told `started`.
 */
import type { TrackerStatus } from '../../io/trackers/tracker-client.js';
import { TrackerTiers } from '../../io/trackers/tracker-tiers.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, InfoHash } from '../../kernel/units.js';
import type { MagnetLink } from '../../vod/magnet-link.js';
import type { Metainfo } from '../../vod/metainfo.js';
import type { TitlesContext } from './titles-context.js';

/** The title as its discovery sees it. */
export interface SoughtTitle {
  readonly infoHash: InfoHash;
  readonly link: MagnetLink;
  readonly log: Log;
  /** Announce URLs beside those of the link and the torrent, the best first. */
  readonly ownTrackers: readonly string[];
  /** Payload since it was added. */
  transferred(): { readonly uploadedBytes: Bytes; readonly downloadedBytes: Bytes };
  /** What is missing of the whole; undefined while the length is unknown. */
  leftBytes(): Bytes | undefined;
  /** Whether more neighbours would help now. */
  wantsPeers(): boolean;
  onPeer(host: string, port: number, source: 'link' | 'tracker' | 'dht' | 'lsd'): void;
  /** Another tracker of a private title: whoever the last one named must go. */
  onTrackerSwitch(): void;
}

export class TitleDiscovery {
  readonly #context: TitlesContext;
  readonly #title: SoughtTitle;
  readonly #atStart: { readonly uploadedBytes: Bytes; readonly downloadedBytes: Bytes };
  #trackers: TrackerTiers;
  #isPrivate: boolean;
  #isStopped = false;
  /** Farewells to trackers that are not asked any more. */
  #leaving: Promise<void> = Promise.resolve();

  /** Begins at once; `metainfo` is null while only the link is known. */
  constructor(context: TitlesContext, title: SoughtTitle, metainfo: Metainfo | null) {
    this.#context = context;
    this.#title = title;
    this.#atStart = title.transferred();
    this.#isPrivate = metainfo?.isPrivate === true;
    this.#trackers = this.#startTrackers(this.#tiers(metainfo));
    if (this.#isPrivate) return;
    for (const { host, port } of title.link.peers) title.onPeer(host, port, 'link');
    for (const node of metainfo?.dhtNodes ?? []) context.finding.addNode(node);
    context.finding.join(title.infoHash, ({ host, port }, source) => title.onPeer(host, port, source));
  }

  /** The metadata has come from peers. */
  learn({ isPrivate }: Metainfo): void {
    if (!isPrivate || this.#isPrivate || this.#isStopped) return;
    this.#isPrivate = true;
    this.#context.finding.leave(this.#title.infoHash);
    const tiers = this.#tiers(null);
    if (tiers.flat().length < 2) return;
    this.#leaving = this.#trackers.stop();
    this.#trackers = this.#startTrackers(tiers);
  }

  /** The whole title has been downloaded. */
  complete(): void {
    this.#trackers.complete();
  }

  status(): readonly TrackerStatus[] {
    return this.#trackers.status();
  }

  /** Says goodbye to the trackers; settles within about a second. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#context.finding.leave(this.#title.infoHash);
    await Promise.all([this.#trackers.stop(), this.#leaving]);
  }

  #startTrackers(tiers: readonly (readonly string[])[]): TrackerTiers {
    const { network, rng } = this.#context;
    const title = this.#title;
    const trackers = new TrackerTiers({
      infoHash: title.infoHash,
      peerId: network.peerId,
      port: network.port,
      tiers,
      isPrivate: this.#isPrivate,
      rng: rng.fork(),
      log: title.log,
      onPeer: ({ host, port }) => title.onPeer(host, port, 'tracker'),
      wanted: () => title.wantsPeers(),
      announceStats: () => this.#statistics(),
      onSwitch: () => {
        if (this.#isPrivate) title.onTrackerSwitch();
      },
    });
    trackers.start();
    return trackers;
  }

  /** Who names no tracker at all is looked for at the configured ones, which a private title must not be told to. */
  #tiers(metainfo: Metainfo | null): readonly (readonly string[])[] {
    const { link, ownTrackers } = this.#title;
    const tiers = [...(metainfo?.trackerTiers ?? []), ...link.trackers.map((url) => [url]), ...ownTrackers.map((url) => [url])];
    if (tiers.length > 0 || this.#isPrivate) return tiers;
    return this.#context.config.tracker.announce.map((url) => [url]);
  }

  #statistics(): { readonly uploadedBytes: Bytes; readonly downloadedBytes: Bytes; readonly leftBytes: Bytes | undefined } {
    const { uploadedBytes, downloadedBytes } = this.#title.transferred();
    return {
      uploadedBytes: uploadedBytes - this.#atStart.uploadedBytes,
      downloadedBytes: downloadedBytes - this.#atStart.downloadedBytes,
      leftBytes: this.#title.leftBytes(),
    };
  }
}
