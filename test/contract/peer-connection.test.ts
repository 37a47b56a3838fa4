/** The connection a core is given: whole messages in order, nothing lost before `listen`, one end. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hex, Node, pattern, until, withNodes } from '../support/swarm-fixture.js';

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

test.run();
