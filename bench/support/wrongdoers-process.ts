/**
 * Peers of a measured swarm that misbehave, in a process of their own: shipped peers on real sockets, each with one habit of the simulator's.
 *
 * Started with the channel's link, the folder of its station, whose key some of them misuse, and the upload limit of each. Takes the name of a habit, upon which one more joins,
 * or `count`, and answers either with an account of each.
 */
import { argv } from 'node:process';
import { createSigner, generateSeed } from '../../src/io/crypto.js';
import { publisherSeed } from '../../src/io/files/publisher-file.js';
import type { Bytes } from '../../src/kernel/units.js';
import type { HabitName } from '../../src/sim/misbehaviour.js';
import { MisbehavingPeer } from '../../test/support/misbehaving-peer.js';

export interface WrongdoerAccount {
  readonly habit: HabitName;
  readonly peerId: string;
  /** Media that it has sent and received. */
  readonly givenBytes: Bytes;
  readonly takenBytes: Bytes;
}

const [link = '', stationDir = '', uploadBytesPerSecond = '0'] = argv.slice(2);
const publisher = createSigner(publisherSeed(stationDir, generateSeed));
const stranger = createSigner(generateSeed());
const peers: MisbehavingPeer[] = [];

async function join(habit: HabitName): Promise<void> {
  peers.push(await MisbehavingPeer.start({ link, habit, publisher, stranger, uploadBytesPerSecond: Number(uploadBytesPerSecond) }));
}

function accounts(): readonly WrongdoerAccount[] {
  return peers.map(({ habit, peerId, status }) => ({
    habit,
    peerId,
    givenBytes: status.upBytes.media,
    takenBytes: status.downBytes.media,
  }));
}

process.on('disconnect', () => process.exit(0));
process.on('message', async (word: HabitName | 'count') => {
  if (word !== 'count') await join(word);
  process.send?.(accounts());
});
