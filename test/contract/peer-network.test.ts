/** Two and three real peer networks on loopback keep what `Swarm` and `Connection` promise. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { PeerNetwork } from '../../src/io/peer-network.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';
import {
  extendedFrame,
  HalfPeer,
  handshakeBytes,
  hex,
  INFO_HASH,
  METADATA,
  Node,
  randomPeerId,
  until,
  withNodes,
} from '../support/swarm-fixture.js';

function pattern(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + salt) & 0xff);
}

test('two peers exchange messages both ways, 256 KiB ones too, whole and in order', () =>
  withNodes(2, async ([a, b]) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    a.meet(b);
    await until('both are connected', () => a.live.length === 1 && b.live.length === 1);
    const [ab, ba] = [a.heard[0], b.heard[0]];
    const sent = [pattern(1, 1), pattern(262_144, 2), pattern(0, 3), pattern(40_000, 4)];
    for (const message of sent) {
      ab?.connection.send(message);
      ba?.connection.send(message);
    }
    await until('all have arrived', () => ab?.messages.length === 4 && ba?.messages.length === 4);
    assert.equal(ab?.messages.map(hex), sent.map(hex));
    assert.equal(ba?.messages.map(hex), sent.map(hex));
    assert.is(ab?.connection.peerId, b.network.peerId);
    assert.is(ab?.info.outgoing, true);
    assert.is(ba?.info.outgoing, false);
    assert.is(ab?.info.client, 'Shoal 0.1.0');
    assert.is(a.swarm.connectionCount, 1);
    assert.ok(a.swarm.traffic().upBytes > 300_000 && a.swarm.traffic().downBytes > 300_000);
  }));

test('a viewer without metadata fetches it from a peer before it is handed a connection', async () => {
  const publisher = await Node.start({ publisher: true });
  const viewer = await Node.start({ metadata: null });
  try {
    // What the publisher says at once must wait until the viewer knows the metadata.
    const told = pattern(100, 9);
    viewer.meet(publisher);
    await until('the publisher sees the viewer', () => publisher.live.length === 1);
    publisher.live[0]?.connection.send(told);
    await until('the viewer is connected', () => viewer.live.length === 1);
    assert.equal(viewer.fetched.map(hex), [hex(METADATA)]);
    assert.is(viewer.live[0]?.info.publisher, true);
    await until('the early message is there', () => viewer.live[0]?.messages.length === 1);
    assert.equal(hex(viewer.live[0]?.messages[0] ?? new Uint8Array(0)), hex(told));
  } finally {
    await Promise.all([viewer.network.stop(), publisher.network.stop()]);
  }
});

test('metadata travels on: a viewer that fetched it serves the next', async () => {
  const publisher = await Node.start();
  const [first, second] = [await Node.start({ metadata: null }), await Node.start({ metadata: null })];
  try {
    first.meet(second);
    await until('the two viewers know each other', () => first.swarm.connectionCount === 1);
    assert.is(first.live.length, 0);
    first.meet(publisher);
    await until('both have it', () => first.fetched.length === 1 && second.fetched.length === 1);
    await until('and each other', () => second.live.some(({ connection }) => connection.peerId === first.network.peerId));
  } finally {
    await Promise.all([publisher, first, second].map((node) => node.network.stop()));
  }
});

test('setMetadata releases the connections that waited', async () => {
  const [a, b] = [await Node.start({ metadata: null }), await Node.start({ metadata: null })];
  try {
    a.meet(b);
    await until('they hold each other', () => a.swarm.connectionCount === 1 && b.swarm.connectionCount === 1);
    a.swarm.setMetadata(METADATA);
    await until('both are handed over', () => a.live.length === 1 && b.live.length === 1);
    assert.is(b.fetched.length, 1);
  } finally {
    await Promise.all([a.network.stop(), b.network.stop()]);
  }
});

test('peer exchange introduces a third peer', () =>
  withNodes(3, async ([a, b, c]) => {
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes');
    a.meet(b);
    await until('the first two are connected', () => a.live.length === 1 && b.live.length === 1);
    c.meet(a);
    await until('the third knows both', () => c.live.length === 2);
    assert.ok(c.live.some(({ connection }) => connection.peerId === b.network.peerId));
  }));

test('onDrain comes once the buffer has been high and is low again', () =>
  withNodes(2, async ([a, b]) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    a.meet(b);
    await until('both are connected', () => a.live.length === 1 && b.live.length === 1);
    const connection = a.live[0]?.connection;
    for (let i = 0; i < 16; i++) connection?.send(pattern(262_144, i));
    assert.ok((connection?.bufferedBytes ?? 0) > 262_144);
    await until('it drains', () => a.live[0]?.drainCount === 1);
    assert.ok((connection?.bufferedBytes ?? 0) < 65_536);
    await until('everything arrived', () => b.live[0]?.messages.length === 16);
  }));

test('a misbehaving peer is dropped, banned and not let in again', () =>
  withNodes(2, async ([a, b]) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    a.meet(b);
    await until('both are connected', () => a.live.length === 1 && b.live.length === 1);
    a.live[0]?.connection.close({ kind: 'misbehaved', detail: 'a piece that fails its hash' });
    await until('both ends are told', () => a.live.length === 0 && b.live.length === 0);
    const comeback = new HalfPeer(a.network.port);
    await comeback.greet(b.network.peerId);
    await until('the comeback is refused', () => comeback.closed);
    assert.ok(a.log.text.includes('refused: banned'));
    a.meet(b);
    assert.not.ok(a.log.text.includes('duplicate'));
    assert.is(a.live.length, 0);
    assert.is(a.heard.length, 1);
  }));

test('a farewell sent just before the close still arrives, and onClose comes exactly once', () =>
  withNodes(2, async ([a, b]) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    a.meet(b);
    await until('both are connected', () => a.live.length === 1 && b.live.length === 1);
    a.heard[0]?.connection.send(pattern(200_000, 5));
    a.heard[0]?.connection.close({ kind: 'leaving', detail: 'done' });
    assert.is(a.heard[0]?.ends.length, 0, 'close does not call back into its caller');
    await until('both ends are told', () => a.heard[0]?.ends.length === 1 && b.heard[0]?.ends.length === 1);
    assert.is(b.heard[0]?.messages[0]?.length, 200_000);
    a.heard[0]?.connection.close({ kind: 'leaving', detail: 'again' });
    assert.equal(a.heard[0]?.ends, ['leaving: done']);
  }));

test('two peers that dial each other at once end with one connection', () =>
  withNodes(2, async ([a, b]) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    a.meet(b);
    b.meet(a);
    await until('one is left on both sides', () => a.live.length === 1 && b.live.length === 1 && a.swarm.connectionCount === 1);
    a.live[0]?.connection.send(pattern(10, 1));
    await until('and it works', () => b.live.some(({ messages }) => messages.length === 1));
    assert.is(a.live[0]?.info.outgoing, !b.live[0]?.info.outgoing);
    const lower = a.network.peerId < b.network.peerId ? a : b;
    const crossed = a.heard.length + b.heard.length > 2 || a.log.text.includes('duplicate') || b.log.text.includes('duplicate');
    if (crossed) assert.is(lower.live[0]?.info.outgoing, true);
  }));

test('a peer that is told its own address does not talk to itself, nor dial it twice', () =>
  withNodes(1, async ([a]) => {
    if (a === undefined) throw new Error('one node');
    a.meet(a);
    await until('it noticed', () => a.log.text.includes('refused: self'));
    await until('both ends of it are gone', () => a.log.lines.filter(({ fields }) => fields['reason'] === 'refused: self').length >= 1);
    a.meet(a);
    assert.is(a.heard.length, 0);
  }));

test('a peer whose metadata has the wrong hash is banned, and another one serves', async () => {
  const viewer = await Node.start({ metadata: null });
  const publisher = await Node.start();
  const liar = new HalfPeer(viewer.network.port);
  try {
    const wrong = new Uint8Array(300);
    await liar.greet(randomPeerId(), { m: { shoal_live: 7, ut_metadata: 8 }, metadata_size: wrong.length });
    await until('the viewer asks the liar', () => Buffer.from(liar.receivedBytes).includes('msg_typei0e'));
    viewer.meet(publisher);
    await liar.send(extendedFrame(2, Buffer.concat([Buffer.from('d8:msg_typei1e5:piecei0e10:total_sizei300ee'), wrong])));
    await until('the liar is closed or too late', () => liar.closed || viewer.fetched.length === 1);
    await until('the true metadata is there', () => viewer.fetched.length === 1);
    assert.equal(hex(viewer.fetched[0] ?? wrong), hex(METADATA));
  } finally {
    liar.destroy();
    await Promise.all([viewer.network.stop(), publisher.network.stop()]);
  }
});

test('wrong metadata alone closes the connection and bans the peer id', async () => {
  const viewer = await Node.start({ metadata: null });
  const peerId = randomPeerId();
  const liar = new HalfPeer(viewer.network.port);
  const back = new HalfPeer(viewer.network.port);
  try {
    await liar.greet(peerId, { m: { ut_metadata: 8 }, metadata_size: 3 });
    await until('it is asked', () => Buffer.from(liar.receivedBytes).includes('msg_typei0e'));
    await liar.send(extendedFrame(2, Buffer.from('d8:msg_typei1e5:piecei0e10:total_sizei3eeabc')));
    await until('it is closed', () => liar.closed);
    await back.greet(peerId);
    await until('it is refused', () => back.closed);
    assert.is(viewer.fetched.length, 0);
  } finally {
    liar.destroy();
    back.destroy();
    await viewer.network.stop();
  }
});

test('an unknown info hash is closed without an answer', () =>
  withNodes(1, async ([a]) => {
    const stranger = new HalfPeer(a?.network.port ?? 0);
    await stranger.send(handshakeBytes('00'.repeat(20), randomPeerId()));
    await until('closed', () => stranger.closed);
    assert.is(stranger.receivedBytes.length, 0);
  }));

test('a peer that does not speak the extension is let go after a while', async () => {
  const a = await Node.start({}, { timings: { tickMs: 20, unmappedMs: 150 } });
  const ordinary = new HalfPeer(a.network.port);
  try {
    await ordinary.greet(randomPeerId(), { m: { ut_pex: 1 } });
    await until('it is answered', () => ordinary.receivedBytes.length > 68);
    await until('it is let go', () => ordinary.closed);
    assert.is(a.heard.length, 0);
  } finally {
    ordinary.destroy();
    await a.network.stop();
  }
});

test('silence and a missing handshake close a connection; keep-alives hold it open', async () => {
  const wireLimits = { handshakeMs: 150, silenceMs: 300, keepAliveMs: 60 };
  const [a, b] = [await Node.start({}, { wireLimits }), await Node.start({}, { wireLimits })];
  const [mute, silent] = [new HalfPeer(a.network.port), new HalfPeer(a.network.port)];
  try {
    a.meet(b);
    await silent.greet();
    await until('the mute is closed', () => mute.closed);
    assert.not.ok(silent.closed, 'the handshake deadline is not for those who gave theirs');
    await until('the silent is closed', () => silent.closed);
    await until('the honest two are still connected', () => a.live.some(({ connection }) => connection.peerId === b.network.peerId));
    assert.is(a.heard.filter(({ connection }) => connection.peerId === b.network.peerId).length, 1);
  } finally {
    mute.destroy();
    silent.destroy();
    await Promise.all([a.network.stop(), b.network.stop()]);
  }
});

test('a peer that reads nothing is dropped when 8 MiB wait for it', () =>
  withNodes(1, async ([a]) => {
    if (a === undefined) throw new Error('one node');
    const slow = new HalfPeer(a.network.port);
    await slow.greet();
    await until('it is connected', () => a.live.length === 1);
    slow.socket.pause();
    for (let i = 0; i < 200 && a.live.length === 1; i++) {
      a.live[0]?.connection.send(new Uint8Array(262_144));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('it is dropped', () => a.live.length === 0);
    assert.equal(a.heard[0]?.ends, ['reads too slowly']);
    slow.destroy();
  }));

test('a swarm keeps to its limits and a quarter of its places for those who come in', () =>
  withNodes(
    6,
    async (nodes) => {
      const [a, ...others] = nodes;
      if (a === undefined) throw new Error('six nodes');
      for (const other of others) a.meet(other);
      await until('three of four places are dialled', () => a.live.length === 3);
      const late = new HalfPeer(a.network.port);
      await late.greet();
      await until('one comes in', () => a.live.length === 4);
      const surplus = new HalfPeer(a.network.port);
      await surplus.greet();
      await until('no more', () => surplus.closed);
      assert.is(a.swarm.connectionCount, 4);
      late.destroy();
      surplus.destroy();
    },
    { maxConnections: 4 },
  ));

test('an exception in a listener closes that connection with a reason and nothing else', async () => {
  const a = await Node.start({
    onConnection: (connection) =>
      connection.listen({
        onMessage: () => {
          throw new Error('a bug');
        },
        onDrain: () => {},
        onClose: () => {},
      }),
  });
  const b = await Node.start();
  try {
    b.meet(a);
    await until('connected', () => b.live.length === 1);
    b.live[0]?.connection.send(pattern(10, 1));
    await until('closed', () => b.live.length === 0);
    assert.ok(a.log.complaints.includes('a handler failed and its connection was closed'));
    assert.ok(a.log.text.includes('a bug'));
  } finally {
    await Promise.all([a.network.stop(), b.network.stop()]);
  }
});

test('a taken port is refused with a sentence that names the setting', () =>
  withNodes(1, async ([a]) => {
    try {
      await PeerNetwork.start({
        host: '127.0.0.1',
        port: a?.network.port ?? 0,
        maxConnections: 1,
        log: new MemoryLog(),
        hasher: nodeHasher,
      });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ShoalError);
      assert.is((error as ShoalError).code, 'PORT_TAKEN');
      assert.match((error as ShoalError).message, 'swarm.port');
    }
  }));

test('leaving one swarm leaves the others on the port alone', () =>
  withNodes(2, async ([a, b]) => {
    if (a === undefined || b === undefined) throw new Error('two nodes');
    a.meet(b);
    await until('connected', () => a.live.length === 1 && b.live.length === 1);
    const other = {
      infoHash: '11'.repeat(20),
      extension: 'x',
      metadata: null,
      publisher: false,
      maxConnections: 4,
      targetConnections: 4,
      onConnection: () => {},
    };
    const [swarmA, swarmB] = [a.network.join(other), b.network.join(other)];
    swarmA.addCandidate('127.0.0.1', b.network.port, 'tracker');
    await until('the second swarm is connected', () => swarmA.connectionCount === 1 && swarmB.connectionCount === 1);
    await swarmA.leave();
    await until('the other end noticed', () => swarmB.connectionCount === 0);
    assert.is(a.live.length, 1);
    assert.is(INFO_HASH.length, 40);
  }));

test.run();
