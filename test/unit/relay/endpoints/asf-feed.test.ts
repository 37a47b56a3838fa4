import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { AsfFeed, type AsfFeedOptions, type AsfFeedPacket } from '../../../../src/relay/endpoints/asf-feed.js';
import { asfHeader, dataObject, fileProperties, packetOf, simpleHeader, videoStream } from '../../../support/asf-writer.js';

const PS = 512;
const HEADER = simpleHeader({ packetBytes: PS, prerollMs: 3000 });

function feedOf(options: AsfFeedOptions = {}, header = HEADER): AsfFeed {
  const feed = new AsfFeed(options);
  assert.is(feed.setHeader(header), undefined);
  return feed;
}

function packet(sendMs: number): Uint8Array {
  return packetOf([{ data: Uint8Array.of(1) }], PS, sendMs, true);
}

/** Packets 50 ms apart; every `keyEvery`-th is a key packet. */
function fill(feed: AsfFeed, count: number, keyEvery: number, from = 0): void {
  for (let index = from; index < from + count; index++) feed.push(1000 + index, packet(index * 50), keyEvery > 0 && index % keyEvery === 0);
}

const startOf = (feed: AsfFeed): AsfFeedPacket | undefined => feed.prelude()?.packets[0];

test('players get every packet as it came, numbered from 0 without gaps whatever was lost before', () => {
  const feed = feedOf();
  const seen: AsfFeedPacket[] = [];
  feed.subscribe({ onPacket: (one) => seen.push(one) });
  feed.push(5000, packet(0), true);
  feed.push(5007, packet(100), false);
  assert.equal(
    seen.map(({ number, locationId, key, timeMs }) => [number, locationId, key, timeMs]),
    [
      [0, 5000, true, 0],
      [1, 5007, false, 100],
    ],
  );
  assert.equal(seen[1]?.payload, packet(100));
  assert.is(feed.packetCount, 2);
});

test('a joiner starts at the newest key packet that lies a preroll back', () => {
  const feed = feedOf();
  fill(feed, 200, 25);
  assert.is(startOf(feed)?.locationId, 1000 + 125);
  assert.is(feed.prelude()?.packets.at(-1)?.locationId, 1199);
});

test('a key packet far behind the preroll is passed over for a newer one', () => {
  const feed = feedOf();
  for (let index = 0; index < 200; index++) feed.push(1000 + index, packet(index * 50), index === 10 || index === 170);
  assert.is(startOf(feed)?.locationId, 1170);
});

test('without key packets a joiner starts at any packet a preroll back', () => {
  const feed = feedOf();
  fill(feed, 200, 0);
  assert.is(startOf(feed)?.locationId, 1000 + 199 - 60);
});

test('the burst is 2 s at least and 5 s at most', () => {
  for (const [prerollMs, backPackets] of [
    [0, 40],
    [60_000, 100],
  ] as const) {
    const feed = feedOf({}, simpleHeader({ packetBytes: PS, prerollMs }));
    fill(feed, 200, 0);
    assert.is(startOf(feed)?.locationId, 1000 + 199 - backPackets);
  }
});

test('a fresh feed gives a joiner all it has', () => {
  const feed = feedOf();
  fill(feed, 10, 25);
  assert.is(feed.prelude()?.packets.length, 10);
});

test('without a header there is nothing to play, and packets are not kept', () => {
  const feed = new AsfFeed();
  fill(feed, 5, 1);
  assert.is(feed.prelude(), undefined);
  assert.is(feed.packetCount, 0);
});

test('history is bounded by time and by bytes', () => {
  const feed = feedOf();
  fill(feed, 1000, 25);
  assert.ok(feed.heldMs <= 12_000);
  const small = feedOf({ historyBytes: 4096 });
  fill(small, 1000, 25);
  assert.ok((small.prelude()?.packets.length ?? 0) <= 4096 / 160);
  const still = feedOf({ historyBytes: 4096 });
  for (let index = 0; index < 1000; index++) still.push(index, new Uint8Array(0), false);
  assert.ok((still.prelude()?.packets.length ?? 0) <= 4096 / 160);
});

test('another header begins an epoch with an empty history and goes on with the numbers; the same one changes nothing', () => {
  const feed = feedOf();
  let headers = 0;
  feed.subscribe({ onPacket: () => undefined, onHeader: () => (headers += 1) });
  fill(feed, 10, 5);
  feed.setHeader(HEADER);
  assert.is(headers, 0);
  feed.setHeader(simpleHeader({ packetBytes: PS }, [videoStream(1)]));
  assert.is(headers, 1);
  assert.is(feed.prelude()?.packets.length, 0);
  fill(feed, 1, 1);
  assert.is(startOf(feed)?.number, 10);
});

test('a malformed header leaves the epoch as it was', () => {
  const feed = feedOf();
  fill(feed, 3, 1);
  assert.instance(feed.setHeader(new Uint8Array(3)), Malformed);
  assert.is(feed.prelude()?.packets.length, 3);
});

test('rows 12 and 13: the header that players get is mended', () => {
  const feed = feedOf({}, asfHeader([fileProperties({ packetBytes: PS }), videoStream(1)], dataObject(0, [0, 0])));
  assert.equal(feed.header?.bytes, asfHeader([fileProperties({ packetBytes: PS }), videoStream(1)], dataObject(50)));
});

test('row 16: a packet longer than the packet size reaches nobody', () => {
  const feed = feedOf();
  feed.push(0, new Uint8Array(PS + 1), true);
  assert.is(feed.packetCount, 0);
});

test('row 25: send times that swing, go back or jump a day do not make time run away', () => {
  const feed = feedOf();
  for (const sendMs of [0, 300, 40, 340, 80, 380, 86_400_000, 86_400_040, 0, 40]) feed.push(0, packet(sendMs), false);
  assert.is(feed.prelude()?.packets.at(-1)?.timeMs, 380 + 40 + 40);
});

test('a listener may leave while it listens, and all are told of the end', () => {
  const feed = feedOf();
  let packets = 0;
  let ends = 0;
  const leave = feed.subscribe({
    onPacket: () => {
      packets += 1;
      leave();
    },
    onEnd: () => (ends += 1),
  });
  feed.subscribe({ onPacket: () => (packets += 1), onEnd: () => (ends += 1) });
  fill(feed, 2, 1);
  feed.end();
  assert.equal([packets, ends], [3, 1]);
});

test.run();
