/**
 * Serves a feed to RTMP players through the media host of this process, as its publisher.
 */
import type { HostPublisher, MediaHost } from '../io/rtmp/media-host.js';
import type { TagFeed } from '../relay/endpoints/tag-feed.js';

export class RtmpOutlet {
  readonly #publisher: HostPublisher;
  readonly #unsubscribe: () => void;

  /** @throws ShoalError `HOST_PATH_TAKEN` when the path has a publisher. */
  constructor(host: MediaHost, streamPath: string, feed: TagFeed) {
    const publisher = host.openPublisher(streamPath);
    this.#publisher = publisher;
    for (const { tag } of feed.prelude()) publisher.push(tag);
    this.#unsubscribe = feed.subscribe({ onTag: ({ tag }) => publisher.push(tag) });
  }

  stop(): void {
    this.#unsubscribe();
    this.#publisher.end();
  }
}
