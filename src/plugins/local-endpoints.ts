/**
 * The endpoints of this machine for one channel: who plays there, and what feeds them.
 */

import type { MmsServer } from '../io/mms/mms-server.js';
import type { MediaHost } from '../io/rtmp/media-host.js';
import type { WatchAddresses } from '../relay/endpoints/local-channel.js';
import { ChannelOutput } from './channel-output.js';
import type { SwarmContext } from './live-swarm.js';
import type { Portal } from './portal.js';
import { streamPathOf } from './station-channel.js';

/** Where players of a channel connect. The media host may still be loading. */
export interface Endpoints {
  readonly slug: string;
  readonly portal: Portal;
  readonly mms: MmsServer;
  readonly host: MediaHost | undefined;
}

export interface OutputOptions extends Endpoints {
  readonly name: string;
  readonly context: SwarmContext;
  readonly watch: (works: ChannelOutput['works']) => WatchAddresses;
}

const EVERYTHING = { flv: true, asf: true };

/** Players of all kinds right now. */
export function localPlayers(endpoints: Endpoints): number {
  return flvPlayers(endpoints) + mmsPlayers(endpoints);
}

/** A channel's output, with its conversions reading from the endpoints it feeds. */
export function makeOutput(options: OutputOptions): ChannelOutput {
  const { name, context, watch } = options;
  return new ChannelOutput({
    name,
    historyMs: context.config.relay.historyMs,
    convert: context.config.relay.convert,
    inputs: () => {
      const { flv, mms } = watch(EVERYTHING);
      return { flv: flv ?? '', mmsh: (mms ?? '').replace('mms:', 'mmsh:') };
    },
    demand: () => ({ flv: flvPlayers(options), asf: options.mms.isWanted(`/${options.slug}`) ? 1 : 0 }),
    log: context.log.child({ channel: name }),
  });
}

function flvPlayers({ slug, portal, host }: Endpoints): number {
  return portal.playersOf(slug) + (host?.playerCount(streamPathOf(slug)) ?? 0);
}

function mmsPlayers({ slug, mms }: Endpoints): number {
  return mms.counts(`/${slug}`)?.players ?? 0;
}
