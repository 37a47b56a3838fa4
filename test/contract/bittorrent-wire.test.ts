/** One wire between two real sockets: its deadlines, its buffer's marks, and what it does when it is read too slowly. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HalfPeer, Node, pattern, until, withNodes } from '../support/swarm-fixture.js';

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

test.run();
