import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { LIVE_VERSION } from '../../../../src/relay/exchange/live-message.js';
import type { LiveEffect } from '../../../../src/relay/exchange/live-protocol.js';
import { decodeManifest, withoutCertificate } from '../../../../src/relay/exchange/manifest.js';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import { ALL_SUBSTREAMS, NO_FEED } from '../../../../src/relay/exchange/substreams.js';
import {
  availability,
  CERTIFICATE,
  CHANNEL,
  certify,
  DAY_MS,
  DrivenExchange,
  type MadeWindow,
  makeWindow,
  OWNER,
  PARAMETERS,
  PUBLISHER,
  sent,
  sentOf,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

const drops = (effects: readonly LiveEffect[]): string[] =>
  effects.flatMap((effect) => (effect.kind === 'disconnect' ? [`${effect.peer} ${effect.reason.kind}`] : []));
const played = (effects: readonly LiveEffect[]): number[] =>
  effects.flatMap((effect) => (effect.kind === 'emit' && effect.event.kind === 'window' ? [effect.event.manifest.number] : []));

const ALL = Array.from({ length: 12 }, (_, index) => makeWindow(index + 1));

/** A viewer that has met two others, who hold twelve windows, and answers whatever it asks of them. */
function watching(): DrivenExchange {
  const viewer = new DrivenExchange();
  for (const id of ['x', 'y']) {
    viewer.meet(id);
    viewer.hearMap(
      id,
      ALL.map((made) => availability(made)),
    );
  }
  return viewer;
}

/** Answers every request for a window that exists, and those that follow from the answers. */
function serve(viewer: DrivenExchange, effects: readonly LiveEffect[] = viewer.effects): readonly LiveEffect[] {
  const answers: LiveEffect[] = [];
  for (const { to, window, pieces, wantManifest } of sentOf(effects, 'request')) {
    if (window > 100) continue;
    const made = makeWindow(window);
    if (wantManifest) answers.push(...viewer.hear(to, { kind: 'manifest', ageMs: 10, bytes: made.manifest.bytes }));
    for (const piece of pieces)
      answers.push(...viewer.hear(to, { kind: 'piece', window, piece, payload: made.pieces[piece] as Uint8Array }));
  }
  return answers.length > 0 ? [...answers, ...serve(viewer, answers)] : [];
}

test('starting asks for neighbours and sets the clocks going', () => {
  const viewer = new DrivenExchange();
  assert.equal(
    viewer.effects.map((effect) => (effect.kind === 'schedule' ? effect.timer : effect.kind)),
    ['tick', 'map', 'connect'],
  );
});

test('a neighbour is greeted with a hello and a map', () => {
  const publisher = new DrivenExchange({ signer: OWNER });
  const effects = publisher.input({ kind: 'peer-up', peer: 'x' });
  assert.equal(sentOf(effects, 'hello')[0]?.publisher, true);
  assert.is(sentOf(effects, 'map')[0]?.full, true);
});

test('a viewer asks, verifies, plays in order and tells the others', () => {
  const viewer = watching();
  const effects = serve(viewer);
  assert.equal(played(effects), [8, 9, 10, 11, 12]);
  const figures = viewer.figures();
  assert.equal([figures.windowsDelivered, figures.head, figures.badPieces, figures.stalls], [5, 12, 0, 0]);
  assert.is(figures.fromPeersBytes, 5 * makeWindow(8).content.bytes.length);
});

test('a publisher keeps what it publishes, and asks nobody for anything', () => {
  const publisher = new DrivenExchange({ signer: OWNER });
  publisher.meet('x');
  publisher.hearMap(
    'x',
    ALL.map((made) => availability(made)),
  );
  for (const { content } of ALL) publisher.input({ kind: 'command', command: { kind: 'publish', content } });
  publisher.wait(2_000);
  assert.equal(sentOf(publisher.effects, 'request'), []);
  assert.equal([publisher.figures().windowsDelivered, publisher.figures().bufferedMs], [12, 12 * PARAMETERS.windowMs]);
});

test('a publisher answers with what it published', () => {
  const publisher = new DrivenExchange({ signer: OWNER });
  publisher.meet('x');
  const [made] = ALL;
  if (made) publisher.input({ kind: 'command', command: { kind: 'publish', content: made.content } });
  const effects = publisher.hear('x', { kind: 'request', window: 1, pieces: [0, 1, 2], wantManifest: true, patienceMs: 500 });
  assert.equal(
    sentOf(effects, 'piece').map(({ payload }) => Buffer.from(payload)),
    made?.pieces.map((piece) => Buffer.from(piece)),
  );
});

const OFFENCES: readonly [title: string, offend: (viewer: DrivenExchange) => void][] = [
  [
    'speaks before its hello',
    (viewer) => {
      viewer.input({ kind: 'peer-up', peer: 'bad' });
      viewer.hearMap('bad', []);
    },
  ],
  [
    'sends stream info that nobody can read',
    (viewer) => {
      viewer.meet('bad');
      viewer.hear('bad', { kind: 'info', bytes: Uint8Array.of(1) });
    },
  ],
  [
    'floods with requests',
    (viewer) => {
      viewer.meet('bad');
      for (let count = 0; count < 100_000; count++)
        viewer.hear('bad', { kind: 'request', window: 8, pieces: [0], wantManifest: false, patienceMs: 100 });
    },
  ],
  [
    'floods with maps',
    (viewer) => {
      viewer.meet('bad');
      const windows = Array.from({ length: 1_000 }, (_, index) => ({ number: index, pieceCount: 0, key: false, held: null }));
      for (let count = 0; count < 500; count++) viewer.hearMap('bad', windows);
    },
  ],
  [
    'floods with pieces',
    (viewer) => {
      viewer.meet('bad');
      for (let count = 0; count < 1_000; count++)
        viewer.hear('bad', { kind: 'piece', window: 1, piece: count, payload: new Uint8Array(10) });
    },
  ],
];

for (const [title, offend] of OFFENCES) {
  test(`who ${title} is banned, and the rest goes on`, () => {
    const viewer = watching();
    const startedMs = Date.now();
    offend(viewer);
    assert.equal(drops(viewer.effects), ['bad misbehaved']);
    assert.is(viewer.figures().neighbours, 2);
    assert.ok(Date.now() - startedMs < 5_000, `${Date.now() - startedMs} ms`);
    assert.equal(played(serve(viewer)), [8, 9, 10, 11, 12]);
  });
}

test('a flood of requests is answered for a while at most', () => {
  const publisher = new DrivenExchange({ signer: OWNER });
  publisher.meet('flood');
  const [made] = ALL;
  if (made) publisher.input({ kind: 'command', command: { kind: 'publish', content: made.content } });
  let answered = 0;
  for (let count = 0; count < 100_000; count++) {
    answered += sentOf(
      publisher.hear('flood', { kind: 'request', window: 1, pieces: [0], wantManifest: false, patienceMs: 100 }),
      'piece',
    ).length;
  }
  assert.ok(answered <= 10_000, `${answered} pieces`);
});

test('another version is not misbehaviour', () => {
  const viewer = new DrivenExchange();
  viewer.input({ kind: 'peer-up', peer: 'new' });
  assert.equal(drops(viewer.hear('new', { kind: 'hello', version: LIVE_VERSION + 1, publisher: false, rank: 0 })), ['new surplus']);
});

test('who says nothing, and who reads nothing, is dropped after a while', () => {
  const viewer = new DrivenExchange();
  viewer.meet('silent');
  viewer.meet('deaf');
  viewer.input({ kind: 'peer-blocked', peer: 'deaf' });
  for (let count = 0; count < 16; count++) {
    viewer.wait(1_000);
    viewer.hearMap('deaf', []);
  }
  assert.equal(drops(viewer.effects).sort(), ['deaf silent', 'silent silent']);
});

test('a process that stood still blames nobody', () => {
  const viewer = watching();
  viewer.wait(100);
  viewer.nowMs += 60_000;
  const effects = viewer.hearMap(
    'x',
    ALL.map((made) => availability(made)),
  );
  assert.ok(effects.some((effect) => effect.kind === 'schedule' && effect.timer.startsWith('request:')));
  assert.equal(drops(viewer.wait(1_000)), []);
  assert.is(viewer.figures().neighbours, 2);
});

test('a neighbour that always names new windows costs no memory and moves nobody', () => {
  const viewer = watching();
  serve(viewer);
  viewer.meet('liar');
  const startedMs = Date.now();
  for (let round = 0; round < 80; round++) {
    viewer.nowMs += 50;
    const first = 1_000_000 + round * 1_000;
    viewer.hearMap(
      'liar',
      Array.from({ length: 200 }, (_, index) => ({ number: first + index, pieceCount: 8_000, key: true, held: null })),
    );
    viewer.hearMap('x', [], false);
    viewer.wait(50);
  }
  const open = new Set<string>();
  for (const effect of viewer.effects) {
    if (effect.kind === 'schedule' && effect.timer.startsWith('request:')) open.add(effect.timer);
    if (effect.kind === 'cancel') open.delete(effect.timer);
  }
  assert.ok(open.size < 300, `${open.size} requests out`);
  assert.ok(Date.now() - startedMs < 10_000, `${Date.now() - startedMs} ms`);
  assert.equal(played(serve(viewer, viewer.hearMap('x', [availability(makeWindow(13))], false))), [13]);
});

test('a short word is taken as the map that it stands for, and one that nobody can make sense of as a sign of life', () => {
  const viewer = watching();
  serve(viewer);
  const made = makeWindow(13);
  viewer.hearMap('x', [availability(made, [0])], false);
  serve(viewer);
  assert.equal(sentOf(viewer.hear('y', { kind: 'have', window: 13, pieces: [1] }), 'request'), [], 'nobody knows of how many pieces at y');
  assert.equal(
    sentOf(viewer.hear('x', { kind: 'have', window: 13, pieces: [0, 1, 2_000] }), 'request').map(({ to, window, pieces }) => [
      to,
      window,
      pieces,
    ]),
    [['x', 13, [1]]],
  );
  viewer.hear('x', { kind: 'piece', window: 13, piece: 1, payload: made.pieces[1] as Uint8Array });
  assert.equal(played(serve(viewer, viewer.hear('x', { kind: 'have', window: 13, pieces: [] }))), [13]);
});

test('a manifest without its certificate is one with that of the last that had one; before there is any, it is a violation', () => {
  for (const isKnown of [true, false]) {
    const viewer = watching();
    const [asked, other] = [makeWindow(13, 3, {}, PUBLISHER, CHANNEL, certify()), makeWindow(40, 3, {}, PUBLISHER, CHANNEL, certify())];
    serve(viewer);
    // Nobody has asked for it, and the certificate is remembered all the same: its sender takes it for known.
    if (isKnown) viewer.hear('x', { kind: 'manifest', ageMs: 0, bytes: other.manifest.bytes });
    viewer.hearMap('x', [availability(asked)], false);
    const effects = viewer.hear('x', { kind: 'manifest', ageMs: 0, bytes: withoutCertificate(asked.manifest.bytes), short: true });
    assert.equal(drops(effects), isKnown ? [] : ['x misbehaved']);
    const pieces = asked.pieces.flatMap((payload, piece) => viewer.hear('x', { kind: 'piece', window: 13, piece, payload }));
    assert.equal(played(pieces), isKnown ? [13] : []);
  }
});

test('a bad piece counts in the next acquaintance too', () => {
  for (const peerId of ['peer x', 'somebody else']) {
    const viewer = watching();
    const spoil = (from: string): readonly LiveEffect[] => {
      const request = sentOf(viewer.effects, 'request').find(({ to }) => to === from);
      const [window, piece] = [request?.window ?? 0, request?.pieces[0] ?? 0];
      viewer.hear(from, { kind: 'manifest', ageMs: 10, bytes: makeWindow(window).manifest.bytes });
      return viewer.hear(from, { kind: 'piece', window, piece, payload: new Uint8Array(16_384) });
    };
    assert.equal(drops(spoil('x')), []);
    viewer.input({ kind: 'peer-down', peer: 'x' });
    viewer.input({ kind: 'peer-down', peer: 'y' });
    viewer.meet('again', false, peerId);
    viewer.hearMap(
      'again',
      ALL.map((made) => availability(made)),
    );
    viewer.wait(1_000);
    assert.equal(drops(spoil('again')), peerId === 'peer x' ? ['again misbehaved'] : []);
    assert.is(viewer.figures().badPieces, 2);
  }
});

test('messages and timers of neighbours that are gone change nothing', () => {
  const viewer = watching();
  viewer.input({ kind: 'peer-down', peer: 'x' });
  viewer.input({ kind: 'peer-down', peer: 'x' });
  assert.equal(viewer.hearMap('x', []), []);
  assert.equal(viewer.input({ kind: 'peer-blocked', peer: 'x' }), []);
  assert.equal(viewer.input({ kind: 'timer', timer: 'request:77:1' }), []);
  assert.equal(viewer.input({ kind: 'timer', timer: 'reveal:77' }), []);
});

test('a newcomer hears hello, then the withdrawn keys, then all else', () => {
  const driven = new DrivenExchange({ signer: OWNER });
  const list = signRevocationList(3, [{ key: PUBLISHER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER);
  driven.input({ kind: 'command', command: { kind: 'describe', metadata: Uint8Array.of(1) } });
  driven.input({ kind: 'command', command: { kind: 'publish', content: makeWindow(4).content } });
  const effects = driven.input({ kind: 'command', command: { kind: 'revoke', bytes: list.bytes } });
  assert.ok(effects.some((effect) => effect.kind === 'emit' && effect.event.kind === 'revocations'));
  assert.equal(
    sent(driven.input({ kind: 'peer-up', peer: 'x' })).map(({ message }) => message.kind),
    ['hello', 'revocations', 'info', 'map'],
  );
});

test('a publisher signs with a renewed certificate from the next window on', () => {
  const driven = new DrivenExchange({ signer: PUBLISHER, certificate: CERTIFICATE });
  driven.meet('x');
  const renewed = certify({ untilMs: WALL_MS + 9 * DAY_MS });
  const endOf = (number: number): number | undefined => {
    driven.input({ kind: 'command', command: { kind: 'publish', content: makeWindow(number).content } });
    const [manifest] = sentOf(
      driven.hear('x', { kind: 'request', window: number, pieces: [], wantManifest: true, patienceMs: 0 }),
      'manifest',
    );
    const decoded = decodeManifest(manifest?.bytes ?? new Uint8Array(), PARAMETERS.pieceBytes);
    return decoded instanceof Malformed ? undefined : decoded.certificate?.untilMs;
  };
  assert.is(endOf(4), CERTIFICATE.untilMs);
  driven.input({ kind: 'command', command: { kind: 'authorise', certificate: renewed } });
  assert.is(endOf(5), renewed.untilMs);
});

test('who has lost its feeder is told at once what waited for it', () => {
  const viewer = watching();
  viewer.wait(300);
  viewer.meet('fed');
  const [, second] = ALL as [MadeWindow, MadeWindow];
  const feed = { ...NO_FEED, fed: ALL_SUBSTREAMS };
  viewer.hear('fed', { kind: 'map', full: true, tail: 0, feed, windows: [] });
  const told = (effects: readonly LiveEffect[]): number =>
    sent(effects).filter(({ to, message }) => to === 'fed' && (message.kind === 'map' || message.kind === 'have')).length;
  const asked = sentOf(viewer.effects, 'request').at(-1);
  const made = ALL.find(({ content }) => content.number === asked?.window) ?? second;
  const effects = [
    ...viewer.hear(asked?.to ?? 'x', { kind: 'manifest', ageMs: 0, bytes: made.manifest.bytes }),
    ...viewer.hear(asked?.to ?? 'x', { kind: 'piece', window: made.content.number, piece: 0, payload: made.pieces[0] as Uint8Array }),
  ];
  assert.is(told(effects), 0);
  assert.is(told(viewer.hear('fed', { kind: 'map', full: false, feed, windows: [] })), 0, 'nothing has changed');
  assert.is(told(viewer.hear('fed', { kind: 'map', full: false, feed: NO_FEED, windows: [] })), 1);
});

test.run();
