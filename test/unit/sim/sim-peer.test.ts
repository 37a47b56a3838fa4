import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LiveMessage, TRAFFIC_KIND } from '../../../src/relay/exchange/live-message.js';
import { FRAME_OVERHEAD_BYTES } from '../../../src/sim/network.js';
import { Tally } from '../../../src/sim/sim-peer.js';

test('a piece is media but for its head and frame; everything else is overhead with all its headers', () => {
  const tally = new Tally();
  tally.count({ kind: 'piece', window: 1, piece: 0, payload: new Uint8Array(1_000) }, 1_007);
  assert.equal([tally.payloadBytes, tally.overheadBytes, tally.socketOverheadBytes], [1_000, 13, 13]);
  tally.count({ kind: 'cancel', window: 1, pieces: [0] }, 7);
  assert.equal([tally.payloadBytes, tally.overheadBytes, tally.socketOverheadBytes], [1_000, 13 + 7 + FRAME_OVERHEAD_BYTES, 13 + 7 + 6]);
  assert.equal(tally.bytesByKind, { media: 1_007, request: 7 });
});

test('every message is filed as the traffic counters of a real peer file it', () => {
  for (const [kind, filed] of Object.entries(TRAFFIC_KIND)) {
    const tally = new Tally();
    tally.count({ kind, payload: new Uint8Array(3) } as unknown as LiveMessage, 10);
    assert.equal(tally.bytesByKind, { [filed]: 10 }, kind);
  }
});

test.run();
