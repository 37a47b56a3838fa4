/** Torrent swarms on real sockets: frames go both ways as they are, in order, with every kind of peer. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { extendedFrame, frame, HalfPeer, hex, Node, pattern, randomPeerId, until } from '../support/swarm-fixture.js';
import { TORRENT_METADATA, type TorrentNode, torrentHandshake, withTorrentNodes } from '../support/torrent-nodes.js';

const BITFIELD = frame(5, Uint8Array.of(0xff, 0xff, 0xf0));
const PIECE = frame(7, Buffer.concat([new Uint8Array(8), pattern(16_384, 3)]));

async function connected(a: TorrentNode, b: TorrentNode): Promise<void> {
  a.meet(b);
  await until('both have the connection', () => a.live.length === 1 && b.live.length === 1);
}

test('two networks exchange frames of every kind, whole and in order', () =>
  withTorrentNodes([{}, {}], async (a, b) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    await connected(a, b);
    const small = [0, 1, 2, 3].map((id) => frame(id));
    const sent = [
      BITFIELD,
      ...small,
      frame(4, new Uint8Array(4)),
      frame(6, new Uint8Array(12)),
      frame(8, new Uint8Array(12)),
      extendedFrame(1, Uint8Array.of(0, 0, 0, 9)),
      ...Array.from({ length: 40 }, () => PIECE),
      extendedFrame(2, Uint8Array.of(1)),
      extendedFrame(3, pattern(500, 1)),
      ...[13, 17].map((id) => frame(id, new Uint8Array(4))),
      ...[14, 15].map((id) => frame(id)),
      frame(16, new Uint8Array(12)),
    ];
    for (const one of sent) a.live[0]?.connection.send(one);
    b.live[0]?.connection.send(Buffer.concat([frame(2), frame(6, new Uint8Array(12)), frame(6, new Uint8Array(12))]));
    await until('all came', () => b.live[0]?.frames.length === sent.length && a.live[0]?.frames.length === 3);
    assert.equal(b.live[0]?.frames.map(hex), sent.map(hex));
    const { info } = a.live[0] ?? {};
    assert.ok(info?.fast && info.kin && info.mapsDontHave && info.extended && info.outgoing);
    assert.is(info?.addressGroup, '127.0.0.0/24');
    assert.is(info?.requestQueueCount, 512);
  }));

test('whoever is let go because nothing is wanted, by either side, is dialled when something is wanted again, and not before', () =>
  withTorrentNodes([{}, {}], async (a, b) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    await connected(a, b);
    for (const letsGo of [a, b]) {
      for (const { swarm } of [a, b]) swarm.setUploadOnly(true);
      letsGo.live[0]?.connection.close({ kind: 'idle', detail: 'neither side wants anything' });
      await until('it is gone', () => a.live.length === 0 && b.live.length === 0);
      const heard = b.heard.length;
      // Longer than somebody who was lost is waited for.
      const goneMs = performance.now();
      await until('a while passes', () => performance.now() - goneMs > 2_500);
      assert.is(b.heard.length, heard);
      a.swarm.setUploadOnly(false);
      a.swarm.recall();
      await until('they are connected again', () => a.live.length === 1 && b.live.length === 1, 1_000);
      assert.is(b.live[0]?.info.uploadOnly, false);
    }
  }));

test('a peer without BEP 10 and without the fast extension counts like any other', () =>
  withTorrentNodes([{}], async (a) => {
    if (a === undefined) throw new Error('one node');
    const plain = new HalfPeer(a.network.port);
    await plain.send(Buffer.concat([torrentHandshake(randomPeerId(), { extended: false, fast: false }), BITFIELD, frame(2)]));
    await until('it is handed over', () => a.live[0]?.frames.length === 2);
    assert.equal(a.live[0]?.frames.map(hex), [BITFIELD, frame(2)].map(hex));
    assert.not.ok(a.live[0]?.info.fast || a.live[0]?.info.extended);
    a.live[0]?.connection.send(frame(1));
    await until('the frame came back', () => hex(plain.receivedBytes).endsWith(hex(frame(1))));
    assert.is(plain.receivedBytes.length, 68 + 5, 'no extended handshake to a peer without BEP 10');
    plain.destroy();
  }));

test('a peer that says nothing after its handshake is handed over after a while', () =>
  withTorrentNodes([{}], async (a) => {
    if (a === undefined) throw new Error('one node');
    const mute = new HalfPeer(a.network.port);
    await mute.send(torrentHandshake(randomPeerId()));
    await until('it is handed over', () => a.live.length === 1);
    mute.destroy();
  }));

test('with a magnet link frames wait in order until the metadata is known, which is fetched from any peer', () =>
  withTorrentNodes([{ metadata: null }, {}], async (magnet, seed) => {
    if (magnet === undefined || seed === undefined) throw new Error('two nodes');
    const early = new HalfPeer(magnet.network.port);
    await early.send(Buffer.concat([torrentHandshake(randomPeerId()), extendedFrame(0, encodeBencode({ m: {} })), BITFIELD, frame(2)]));
    await until('it is held', () => magnet.swarm.connectionCount === 1);
    assert.is(magnet.heard.length, 0);
    magnet.meet(seed);
    await until('both are handed over', () => magnet.live.length === 2);
    assert.equal(magnet.fetched.map(hex), [hex(TORRENT_METADATA)]);
    await until('what waited came', () => magnet.live.some(({ frames }) => frames.length === 2));
    assert.equal(magnet.live.find(({ frames }) => frames.length === 2)?.frames.map(hex), [BITFIELD, frame(2)].map(hex));
    early.destroy();
  }));

test('a bitfield that cannot fit the torrent ends its peer when the metadata shows it', () =>
  withTorrentNodes([{ metadata: null }, {}], async (magnet, seed) => {
    if (magnet === undefined || seed === undefined) throw new Error('two nodes');
    const liar = new HalfPeer(magnet.network.port);
    await liar.send(Buffer.concat([torrentHandshake(randomPeerId(), { extended: false }), frame(5, new Uint8Array(9))]));
    await until('it is held', () => magnet.swarm.connectionCount === 1);
    magnet.meet(seed);
    await until('the liar is gone', () => liar.closed);
  }));

test('extension messages carry each peer its own ids, and a renewed handshake comes as upload_only', () =>
  withTorrentNodes([{}], async (a) => {
    if (a === undefined) throw new Error('one node');
    const peer = new HalfPeer(a.network.port);
    const words = { m: { lt_donthave: 77, upload_only: 3 }, reqq: 2000, v: 'half', p: 4321 };
    await peer.send(Buffer.concat([torrentHandshake(randomPeerId()), extendedFrame(0, encodeBencode(words))]));
    await until('it is handed over', () => a.live.length === 1);
    const [heard] = a.live;
    assert.equal([heard?.info.requestQueueCount, heard?.info.client, heard?.info.listenPort, heard?.info.kin], [2000, 'half', 4321, false]);
    heard?.connection.send(extendedFrame(1, Uint8Array.of(0, 0, 0, 5)));
    heard?.connection.send(extendedFrame(3, Uint8Array.of(1)));
    heard?.connection.send(frame(0));
    await until('it came under its own id', () =>
      hex(peer.receivedBytes).endsWith(hex(Buffer.concat([extendedFrame(77, Uint8Array.of(0, 0, 0, 5)), frame(0)]))),
    );
    await peer.send(extendedFrame(1, Uint8Array.of(0, 0, 0, 8)));
    await peer.send(extendedFrame(0, encodeBencode({ m: {}, upload_only: 1 })));
    await until('both came', () => heard?.frames.length === 2);
    assert.equal(heard?.frames.map(hex), [extendedFrame(1, Uint8Array.of(0, 0, 0, 8)), extendedFrame(2, Uint8Array.of(1))].map(hex));
    a.swarm.setUploadOnly(true);
    await until('it hears of ours', () => hex(peer.receivedBytes).endsWith(hex(extendedFrame(3, Uint8Array.of(1)))));
    peer.destroy();
  }));

test('live channels and torrents share one port', async () => {
  const node = await Node.start();
  try {
    const frames: Uint8Array[] = [];
    node.network.join({
      kind: 'torrent',
      infoHash: '22'.repeat(20),
      metadata: null,
      isPrivate: false,
      pieceCount: null,
      maxConnections: 4,
      targetConnections: 4,
      onConnection: () => {},
      onMetadata: () => ({ pieceCount: 1, isPrivate: false }),
    });
    const [live, torrent] = [new HalfPeer(node.network.port), new HalfPeer(node.network.port)];
    await live.greet();
    await torrent.send(Buffer.concat([torrentHandshake(randomPeerId(), { infoHash: '22'.repeat(20) }), BITFIELD]));
    await until('the live peer is there', () => node.live.length === 1);
    await live.send(BITFIELD);
    await until('a bitfield has no place in a live swarm', () => live.closed);
    assert.not.ok(torrent.closed);
    assert.is(frames.length, 0);
    torrent.destroy();
  } finally {
    await node.network.stop();
  }
});

test('a swarm that dismisses its peers lets all of them go and calls none of them again', () =>
  withTorrentNodes([{}, { targetConnections: 0 }, { targetConnections: 0 }], async (a, b, c) => {
    if (!a || !b || !c) throw new Error('three nodes');
    a.swarm.addCandidate('127.0.0.1', b.network.port, 'tracker');
    a.swarm.addCandidate('127.0.0.1', c.network.port, 'tracker');
    await until('they are connected', () => a.live.length === 2);
    a.swarm.dismiss('another tracker');
    await until('nobody is left', () => a.live.length === 0 && b.live.length === 0 && c.live.length === 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.is(a.heard.length, 2);
    a.swarm.addCandidate('127.0.0.1', b.network.port, 'tracker');
    await until('the swarm goes on', () => a.live.length === 1);
  }));

test.run();
