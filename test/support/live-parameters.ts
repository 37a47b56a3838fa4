/** The live exchange's parameters as shipped, for tests that vary one of them. */
import type { LiveParameters } from '../../src/relay/live-parameters.js';

export const LIVE_PARAMETERS: LiveParameters = {
  windowMs: 500,
  pieceBytes: 16_384,
  bufferWindows: 60,
  bufferBytes: 64 * 1024 * 1024,
  tickMs: 100,
  mapPeriodMs: 2_000,
  haveBatchMs: 50,
  hedge: 2,
  waitMinMs: 150,
  waitMaxMs: 2_000,
  startLagMs: 1_000,
  revealMs: 400,
  targetNeighbours: 8,
  silentMs: 15_000,
  giveUpMs: 4_000,
};
