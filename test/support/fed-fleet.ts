/** Redundant publishers with a live source: a server that all of them pull, or an encoder that pushes to each of them. */
import type { RecordedTag } from './flv-recorder.js';
import { MultiOutputPush } from './multi-output-push.js';
import { PublisherFleet } from './publisher-fleet.js';
import { RebasingOrigin } from './rebasing-origin.js';
import { ServedOrigin } from './served-origin.js';
import { TeeEncoder } from './tee-encoder.js';
import { VlcSource } from './vlc-source.js';

interface Running {
  /** The coded media that the source has sent, in order; absent where it cannot be told. */
  sentFrames?(): Promise<readonly RecordedTag[]>;
  stop(): Promise<void>;
}

/** A fleet whose source is on the air, or will be as soon as there is somebody to push to. */
export interface FedFleet {
  readonly fleet: PublisherFleet;
  readonly source: Running;
}

type Pulled = () => Promise<Running & { readonly url: string }>;
type Pushed = (urls: readonly string[]) => Running;

const PULLED: Readonly<Record<string, Pulled>> = {
  'nms-rtmp': () => ServedOrigin.nodeMediaServer('rtmp'),
  'nms-flv': () => ServedOrigin.nodeMediaServer('http'),
  'nginx-rtmp': () => ServedOrigin.nginx(),
  'vlc-mms': () => VlcSource.start(),
  'rebasing-rtmp': () => RebasingOrigin.start({ protocol: 'rtmp' }),
  'rebasing-flv': () => RebasingOrigin.start({ protocol: 'http' }),
};

const PUSHED: Readonly<Record<string, Pushed>> = {
  'tee-push': (urls) => new TeeEncoder(urls),
  'rebased-push': (urls) => new MultiOutputPush({ urls }),
  'obs-push': (urls) => new MultiOutputPush({ urls, audioOffset: 'own' }),
};

export const ORIGIN_NAMES: readonly string[] = [...Object.keys(PULLED), ...Object.keys(PUSHED)];

/** @throws when the product does not take such a source. */
export async function feedFleet(name: string, count: number): Promise<FedFleet> {
  const [pulled, pushed] = [PULLED[name], PUSHED[name]];
  if (pulled) {
    const source = await pulled();
    const fleet = await PublisherFleet.prepare({ count, source: source.url }).catch(async (error) => {
      await source.stop();
      throw error;
    });
    return { fleet, source };
  }
  if (!pushed) throw new Error(`there is no origin "${name}"; there are ${ORIGIN_NAMES.join(', ')}`);
  const fleet = await PublisherFleet.prepare({ count });
  return { fleet, source: pushed(fleet.publishers.map(({ pushUrl }) => pushUrl)) };
}
