/** What a client says to a tracker. */
import type { Announce } from '../../src/io/trackers/announce.js';

export const ANNOUNCE: Announce = {
  infoHash: new Uint8Array(20).fill(0xaa),
  peerId: new Uint8Array(20).fill(0xbb),
  port: 6881,
  uploaded: 3,
  downloaded: 5_000_000_000,
  left: 7,
  numwant: 50,
  event: 'started',
  key: 0x89ab_cdef,
  trackerId: undefined,
};
