/** Two and three real peers on loopback: metadata, peer exchange, bans, limits and double connections. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TURNED_AWAY_MAX } from '../../src/io/peers/swarm.js';
import { extendedFrame, HalfPeer, hex, METADATA, Node, pattern, randomPeerId, until, withNodes } from '../support/swarm-fixture.js';

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

test('a peer without room tells whoever comes whom else there is, before it closes', async () => {
  const full = await Node.start({ maxConnections: 1, targetConnections: 0 });
  const [first, second] = [await Node.start(), await Node.start()];
  try {
    first.meet(full);
    await until('the only place is taken', () => full.live.length === 1);
    second.meet(full);
    await until('the second has found the first', () => second.live.some(({ connection }) => connection.peerId === first.network.peerId));
    assert.is(full.heard.length, 1, 'it never was a neighbour');
    assert.ok(second.log.text.includes('closed'), 'it is closed in the end');
  } finally {
    await Promise.all([full, first, second].map((node) => node.network.stop()));
  }
});

test('no more than a few are told of others at a time, and one that never says what it speaks does not stay', async () => {
  const a = await Node.start({ maxConnections: 1, targetConnections: 0 }, { timings: { tickMs: 20, unmappedMs: 1_000 } });
  const peers = Array.from({ length: TURNED_AWAY_MAX + 2 }, () => new HalfPeer(a.network.port));
  try {
    const [first, ...others] = peers;
    await first?.greet();
    await until('the only place is taken', () => a.live.length === 1);
    for (const other of others) await other.greet(randomPeerId(), null);
    await until('the oldest gives way', () => others.filter(({ closed }) => closed).length === 1);
    await until('the others are closed after a while', () => others.every(({ closed }) => closed));
    assert.is(a.live.length, 1);
  } finally {
    for (const peer of peers) peer.destroy();
    await a.network.stop();
  }
});

test('a process without room for another connection still tells who comes whom else there is', async () => {
  const full = await Node.start({ targetConnections: 0 }, { maxConnections: 1 });
  const [first, second] = [await Node.start(), await Node.start()];
  try {
    first.meet(full);
    await until('the only place is taken', () => full.live.length === 1);
    second.meet(full);
    await until('the second has found the first', () => second.live.some(({ connection }) => connection.peerId === first.network.peerId));
    assert.is(full.heard.length, 1);
  } finally {
    await Promise.all([full, first, second].map((node) => node.network.stop()));
  }
});

test('who is let go as surplus has been told of others, is not dialled again, and not taken back at once', () =>
  withNodes(
    4,
    async ([a, b, c, d]) => {
      if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four nodes');
      for (const other of [b, c, d]) a.meet(other);
      await until('it has three neighbours', () => a.live.length === 3);
      const heard = a.heard.length;
      const ofB = a.live.find(({ connection }) => connection.peerId === b.network.peerId);
      ofB?.connection.close({ kind: 'surplus', detail: 'others are of more use' });
      await until('it is let go', () => a.live.length === 2);
      await until('and knows the others', () => b.live.some(({ connection }) => connection.peerId === c.network.peerId));
      b.meet(a);
      await until('it comes back in vain', () => a.log.text.includes('refused: resting'));
      assert.is(a.heard.length, heard);
    },
    { targetConnections: 3 },
  ));

test('of those it dials half may be of one block of addresses, while there are others; alone they may all be', async () => {
  const a = await Node.start({ targetConnections: 4 });
  const crowd = ['127.0.7.1', '127.0.7.2', '127.0.7.3', '127.0.7.4', '127.0.7.5'];
  const others = ['127.0.8.1', '127.0.9.1'];
  const nodes: Node[] = [];
  try {
    for (const host of [...crowd, ...others]) nodes.push(await Node.start({ targetConnections: 0 }, { host }));
    const name = (from: number, to: number): void =>
      [...crowd, ...others].slice(from, to).forEach((host, index) => {
        a.swarm.addCandidate(host, nodes[from + index]?.network.port ?? 0, 'link');
      });
    const blocks = (): string[] => a.live.map(({ connection }) => connection.addressBlock ?? '').sort();
    name(0, crowd.length);
    await until('it takes the crowd while it knows nobody else', () => a.live.length === 4);
    assert.equal(new Set(blocks()), new Set(['127.0.7.0/24']));
    name(crowd.length, nodes.length);
    await until('two more of elsewhere', () => a.live.length === 6);
    assert.equal(blocks().slice(4), ['127.0.8.0/24', '127.0.9.0/24']);
  } finally {
    await Promise.all([a, ...nodes].map((node) => node.network.stop()));
  }
});

test.run();
