/**
 * The live exchange's parameters as a configuration sets them.
 */
import {
  BUFFER_BYTES,
  GIVE_UP_MS,
  type LiveParameters,
  MISSING_SHARE_MAX,
  REVIEW_MS,
  SECOND_STAGE_MS,
  SILENT_MS,
} from '../relay/exchange/live-parameters.js';
import { startLagOf } from '../relay/exchange/viewing-mode.js';
import type { ShoalConfig } from './config.js';

/** Connections that are not given to neighbours of one channel, where there are enough. */
const LOBBY_PLACES = 4;

/** For a new channel: its window and piece size are those of the configuration. A known one brings its own. */
export function exchangeParameters({ live: { mode, ...live }, swarm }: Pick<ShoalConfig, 'live' | 'swarm'>): LiveParameters {
  return {
    ...live,
    hedge: live.hedge === 'all' ? Number.POSITIVE_INFINITY : live.hedge,
    maxNeighbours: Math.min(live.maxNeighbours, placesOf(swarm)),
    maxViewers: Math.min(live.maxViewers, placesOf(swarm)),
    startLagMs: startLagOf(mode),
    targetNeighbours: swarm.targetConnections,
    bufferBytes: BUFFER_BYTES,
    silentMs: SILENT_MS,
    giveUpMs: GIVE_UP_MS,
    secondStageMs: SECOND_STAGE_MS,
    reviewMs: REVIEW_MS,
    missingShareMax: MISSING_SHARE_MAX,
    fixedWaitMs: 0,
    deadlineHedgeMs: 0,
  };
}

/** Some of all connections are for those who come and are told of others. */
function placesOf({ maxConnections }: ShoalConfig['swarm']): number {
  return Math.max(1, maxConnections - LOBBY_PLACES);
}
