/** One port for many swarms: what comes in goes to the swarm it names, or nowhere. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';
import { HalfPeer, handshakeBytes, INFO_HASH, randomPeerId, until, withNodes } from '../support/swarm-fixture.js';

test('an unknown info hash is closed without an answer', () =>
  withNodes(1, async ([a]) => {
    const stranger = new HalfPeer(a?.network.port ?? 0);
    await stranger.send(handshakeBytes('00'.repeat(20), randomPeerId()));
    await until('closed', () => stranger.closed);
    assert.is(stranger.receivedBytes.length, 0);
  }));

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
