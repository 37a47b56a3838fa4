/** What a person reads while a channel runs. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PublisherNews, progressLine, stationInstructions } from '../../../src/plugins/instructions.js';
import type { ChannelStatus } from '../../../src/relay/endpoints/channel-status.js';
import { pacingOf } from '../../../src/relay/exchange/viewing-mode.js';

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
  lineBytesPerSecond: null,
  shareFromPeers: null,
  delayMs: null,
  windowsDelivered: 0,
  holes: 0,
  inPart: 0,
  pacing: pacingOf('balanced'),
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

const OURS = 'aaaaaaaa'.padEnd(64, '0');
const OTHERS = 'bbbbbbbb'.padEnd(64, '1');
const STATION: ChannelStatus = { ...WAITING, role: 'publisher', live: true, peers: 1, authority: 'owner', publisherKey: OURS };
const STANDBY = { state: 'standby', detail: 'x', offsetMs: 0 } as const;

/** What stands between the state and the number of peers. */
function noteIn(status: ChannelStatus): string {
  return /^News · live · (?:(.*) · )?1 peer · /.exec(progressLine('News', status))?.[1] ?? '';
}

test('the progress line names publishers that contradict each other, and says where this station is one of them', () => {
  const conflict = { publishers: [OTHERS, OURS], window: 7 } as const;
  assert.is(noteIn({ ...WAITING, live: true, peers: 1, conflict }), 'CONFLICT: bbbbbbbb is followed, aaaaaaaa shows other content');
  assert.is(
    noteIn({ ...STATION, conflict, alignment: STANDBY }),
    'standing by · CONFLICT: bbbbbbbb is followed, this station shows other content',
  );
});

test('the progress line says why a station does not publish, and nothing of a station or viewer where all is well', () => {
  const certificateUntil = '2027-01-31T12:00:00.000Z';
  assert.is(noteIn({ ...STATION, authority: 'expired', certificateUntil, alignment: STANDBY }), 'EXPIRED 2027-01-31');
  assert.is(noteIn({ ...STATION, authority: 'withdrawn', certificateUntil }), 'WITHDRAWN by the owner');
  assert.is(noteIn({ ...STATION, authority: 'none' }), 'NO RIGHT to publish yet');
  assert.is(noteIn({ ...STATION, authority: 'delegated', certificateUntil, alignment: { ...STANDBY, state: 'aligned' } }), '');
  assert.is(noteIn({ ...WAITING, live: true, peers: 1, publishers: [{ key: OURS, windows: 3, lastSeconds: 0.1 }] }), '');
});

test('a station tells once what is wrong with its publishers, and once that it is well again', () => {
  const news = new PublisherNews();
  const channel = { ...STATION, id: '01', name: 'News' };
  assert.equal(news.update([channel, { ...channel, id: '02' }]), []);
  assert.equal(news.update([{ ...channel, alignment: STANDBY }]), ['Channel "News": standing by']);
  assert.equal(news.update([{ ...channel, alignment: STANDBY }]), []);
  assert.equal(news.update([channel]), ['Channel "News": all is well with its publishers again']);
});

test('a station without channels says how to make one', () => {
  assert.match(stationInstructions('http://127.0.0.1:8080/', []).join('\n'), /npx shoal channel create "My channel"/);
});

test.run();
