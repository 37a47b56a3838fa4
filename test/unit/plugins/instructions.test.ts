/** What a person reads while a channel runs. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { progressLine, stationInstructions } from '../../../src/plugins/instructions.js';
import type { ChannelStatus } from '../../../src/relay/endpoints/channel-status.js';

const NO_BYTES = { media: 0, manifest: 0, map: 0, request: 0, control: 0, total: 0 };
const WAITING: ChannelStatus = {
  role: 'viewer',
  live: false,
  peers: 0,
  bufferSeconds: 0,
  upBytes: NO_BYTES,
  downBytes: NO_BYTES,
  upBytesPerSecond: 0,
  downBytesPerSecond: 0,
  shareFromPeers: null,
  delayMs: null,
  windowsDelivered: 0,
  holes: 0,
  timeouts: 0,
  players: 0,
  publishers: [],
  conflict: null,
  alignment: null,
  authority: 'none',
  publisherKey: null,
  certificateUntil: null,
};

test('the progress line tells looking for peers from waiting for the publisher', () => {
  assert.match(progressLine('News', WAITING), /^News · looking for peers · 0 peers · /);
  assert.match(progressLine('News', { ...WAITING, peers: 1 }), /^News · waiting for the publisher · 1 peer · /);
});

test('the progress line of a running channel has rates, share, delay and what was missed', () => {
  const running = {
    ...WAITING,
    live: true,
    peers: 3,
    bufferSeconds: 1.25,
    downBytesPerSecond: 125_000,
    shareFromPeers: 0.5,
    delayMs: 640,
    holes: 2,
  };
  assert.is(
    progressLine('News', running),
    'News · live · 3 peers · buffer 1.3 s · down 1000 kbit/s · up 0 kbit/s · 50 % from peers · delay 0.6 s · 2 windows missed',
  );
});

test('a station without channels says how to make one', () => {
  assert.match(stationInstructions('http://127.0.0.1:8080/', []).join('\n'), /npx shoal channel create "My channel"/);
});

test.run();
