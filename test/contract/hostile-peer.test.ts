/**
 * Peers that mean harm: whatever bytes they send, their connection ends or does nothing, memory stays bounded, the event loop
 * stays free, and an honest pair goes on exchanging messages all the while.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { Rng } from '../../src/kernel/rng.js';
import { extendedFrame, frame, HalfPeer, handshakeBytes, INFO_HASH, Node, randomPeerId, until } from '../support/swarm-fixture.js';

const MEBIBYTE = 1_048_576;
/** Both ends run in this process, so what the attacker holds counts too. */
const GROWTH_BYTES_MAX = 32 * MEBIBYTE;
let victim: Node;
let friend: Node;
let processFault: unknown;

process.on('uncaughtException', (error) => {
  processFault = error;
});
process.on('unhandledRejection', (error) => {
  processFault = error;
});

test.before(async () => {
  victim = await Node.start();
  friend = await Node.start();
  friend.meet(victim);
  await until('the honest pair is connected', () => friend.live.length === 1 && victim.live.length === 1);
});

test.after(async () => {
  await Promise.all([victim.network.stop(), friend.network.stop()]);
  assert.is(processFault, undefined, `nothing reached the process: ${String(processFault)}`);
});

/** One message from the friend to the victim; fails when it does not come through. */
async function honestExchange(): Promise<void> {
  const link = victim.heard[0];
  const before = link?.messages.length ?? 0;
  friend.heard[0]?.connection.send(new Uint8Array(1000));
  await until('the honest message arrives', () => (link?.messages.length ?? 0) > before);
  assert.is(link?.ends.length, 0);
  assert.is(processFault, undefined);
}

/** Runs an attack on the victim with the honest pair exchanging during it, and checks memory afterwards. */
async function attack(task: (attacker: HalfPeer) => Promise<void>): Promise<void> {
  const attacker = new HalfPeer(victim.network.port);
  const before = process.memoryUsage.rss();
  try {
    await Promise.all([task(attacker), honestExchange()]);
    await honestExchange();
    const grown = process.memoryUsage.rss() - before;
    assert.ok(grown < GROWTH_BYTES_MAX, `memory grew by ${grown} bytes`);
  } finally {
    attacker.destroy();
  }
}

function repeated(bytes: Uint8Array, count: number): Uint8Array {
  return Buffer.alloc(bytes.length * count, bytes);
}

async function stream(attacker: HalfPeer, chunk: Uint8Array, count: number): Promise<void> {
  for (let i = 0; i < count && !attacker.closed; i++) await attacker.send(chunk);
}

test('garbage instead of a handshake is closed at the first wrong byte', () =>
  attack(async (attacker) => {
    await attacker.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await until('closed', () => attacker.closed);
  }));

test('garbage after the handshake is closed', () =>
  attack(async (attacker) => {
    const rng = new Rng(1);
    await attacker.greet();
    await stream(
      attacker,
      Uint8Array.from({ length: 65_536 }, () => rng.below(256)),
      16,
    );
    await until('closed', () => attacker.closed);
  }));

for (const prefix of [0x7fffffff, 0xffffffff, 0x80000000, 0x00100001]) {
  test(`a length prefix of 0x${prefix.toString(16)} with 50 MB behind it is closed at once`, () =>
    attack(async (attacker) => {
      await attacker.greet();
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(prefix);
      await attacker.send(bytes);
      const startedMs = performance.now();
      await stream(attacker, new Uint8Array(MEBIBYTE), 50);
      await until('closed', () => attacker.closed);
      assert.ok(performance.now() - startedMs < 2_000);
    }));
}

test('one byte at a time is understood like any other cut', () =>
  attack(async (attacker) => {
    const before = victim.heard.length;
    const all = Buffer.concat([
      handshakeBytes(INFO_HASH, randomPeerId()),
      extendedFrame(0, encodeBencode({ m: { shoal_live: 7 } })),
      extendedFrame(1, Buffer.from('hello')),
    ]);
    for (const byte of all) await attacker.send(Uint8Array.of(byte));
    await until('the message has come', () => victim.heard.length > before && victim.heard.at(-1)?.messages.length === 1);
    assert.is(Buffer.from(victim.heard.at(-1)?.messages[0] ?? []).toString(), 'hello');
  }));

test('handshakes that never finish give way to new connections', () =>
  attack(async () => {
    const idlers = Array.from({ length: 200 }, () => new HalfPeer(victim.network.port));
    try {
      await Promise.all(idlers.map((idler) => idler.send(Uint8Array.of(19))));
      await until('most are closed', () => idlers.filter(({ closed }) => closed).length >= 130);
      const honest = new HalfPeer(victim.network.port);
      const before = victim.heard.length;
      await honest.greet();
      await until('an honest one gets in', () => victim.heard.length > before);
      honest.destroy();
    } finally {
      for (const idler of idlers) idler.destroy();
    }
  }));

const CLOSED_BY: Readonly<Record<string, () => Uint8Array>> = {
  'a bitfield of 900 KB': () => frame(5, new Uint8Array(900_000)),
  'a bitfield of one byte': () => frame(5, new Uint8Array(1)),
  'a have of piece -1': () => frame(4, Uint8Array.of(255, 255, 255, 255)),
  'a piece nobody asked for': () => frame(7, new Uint8Array(16_393)),
  '100 000 requests': () => repeated(frame(6, new Uint8Array(12)), 100_000),
  'an unknown message id': () => frame(99),
  'a choke with a body': () => frame(0, new Uint8Array(10)),
  'an extended message without an id': () => frame(20),
  'ut_metadata piece 9999': () =>
    extendedFrame(2, Buffer.concat([Buffer.from('d8:msg_typei1e5:piecei9999e10:total_sizei300ee'), new Uint8Array(300)])),
  'ut_metadata piece -1': () => extendedFrame(2, Buffer.from('d8:msg_typei0e5:piecei-1ee')),
  'ut_metadata that is no bencode': () => extendedFrame(2, Buffer.from('hello')),
  'ut_metadata 200 000 lists deep': () => extendedFrame(2, Buffer.from('l'.repeat(200_000))),
  'ut_pex that is no dictionary': () => extendedFrame(3, Buffer.from('le')),
  'ut_pex with half an address': () => extendedFrame(3, Buffer.from('d5:added3:abce')),
  'a flood of ut_pex': () => repeated(extendedFrame(3, Buffer.from('d5:added0:e')), 1000),
  'an extended handshake 200 000 lists deep': () => extendedFrame(0, Buffer.from('l'.repeat(200_000))),
  'an extended handshake 15 000 lists deep': () => extendedFrame(0, Buffer.from('l'.repeat(15_000))),
  'an extended handshake with a negative string length': () => extendedFrame(0, Buffer.from('l-3:e')),
  'a flood of extended handshakes': () => repeated(extendedFrame(0, Buffer.from('de')), 1000),
};

for (const [name, make] of Object.entries(CLOSED_BY)) {
  test(`${name} closes the connection`, () => {
    const bytes = make();
    return attack(async (attacker) => {
      await attacker.greet();
      await attacker.send(bytes);
      await until('closed', () => attacker.closed);
    });
  });
}

test('hostile names in an extended handshake change nothing', () =>
  attack(async (attacker) => {
    const before = victim.heard.length;
    const names =
      'd9:__proto__d7:onDraini1ee1:md9:__proto__i5e11:constructori6e8:toStringd8:toStringi1ee4:emiti3e10:shoal_livei7ee1:vle1:p0:e';
    await attacker.greet(randomPeerId(), null);
    await attacker.send(extendedFrame(0, Buffer.from(names)));
    await until('it is an ordinary peer', () => victim.heard.length > before);
    assert.is(({} as Record<string, unknown>)['onDrain'], undefined);
    victim.heard.at(-1)?.connection.send(Uint8Array.of(42));
    await until('answered under its id', () => Buffer.from(attacker.receivedBytes).includes(Buffer.from([0, 0, 0, 3, 20, 7, 42])));
  }));

test('extension messages before the extended handshake, and under unmapped ids, are ignored', () =>
  attack(async (attacker) => {
    const before = victim.heard.length;
    await attacker.greet(randomPeerId(), null);
    for (const id of [1, 2, 3, 4, 200, 255]) await attacker.send(extendedFrame(id, Buffer.from('de')));
    // An empty dictionary is no metadata message, but nobody has announced any yet.
    await attacker.send(extendedFrame(0, Buffer.from('d1:md10:shoal_livei1eee')));
    await until('it is connected all the same', () => victim.heard.length > before);
  }));

test('messages of ordinary clients are swallowed', () =>
  attack(async (attacker) => {
    const before = victim.heard.length;
    await attacker.greet(randomPeerId(), null);
    const tolerated = [
      frame(9, new Uint8Array(2)),
      frame(13, new Uint8Array(4)),
      frame(14),
      frame(15),
      frame(16, new Uint8Array(12)),
      frame(17, new Uint8Array(4)),
    ];
    await attacker.send(Buffer.concat([...tolerated, new Uint8Array(4), frame(0), frame(1), frame(2), frame(3)]));
    await attacker.send(extendedFrame(0, Buffer.from('d1:md10:shoal_livei1eee')));
    await until('it is connected', () => victim.heard.length > before);
  }));

test('requests for metadata without end are served within an allowance, then not answered', () =>
  attack(async (attacker) => {
    await attacker.greet();
    const request = extendedFrame(2, Buffer.from('d8:msg_typei0e5:piecei0ee'));
    await attacker.send(repeated(request, 5000));
    await until('the allowance is spent', () => Buffer.from(attacker.receivedBytes).includes('msg_typei2e'));
    await honestExchange();
    assert.ok(attacker.receivedBytes.length < 64 * 500 + 64 * 100 + 1000);
    assert.not.ok(attacker.closed);
  }));

test('a peer that copies the id of a connected one cannot push it out', () =>
  attack(async (attacker) => {
    await new Promise((resolve) => setImmediate(resolve));
    await attacker.greet(friend.network.peerId);
    await until('the copy is refused', () => attacker.closed);
  }));

test('a peer that sends more than the inbox holds before anybody listens is let go', async () => {
  const deaf = await Node.start({ metadata: null });
  const attacker = new HalfPeer(deaf.network.port);
  try {
    await attacker.greet();
    await stream(attacker, extendedFrame(1, new Uint8Array(100_000)), 60);
    await until('closed', () => attacker.closed);
  } finally {
    attacker.destroy();
    await deaf.network.stop();
  }
});

test.run();
