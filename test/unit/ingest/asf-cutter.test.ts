import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AsfCutter, type AsfCutterOptions, epochIdOf, packetsPerWindow } from '../../../src/ingest/asf-cutter.js';
import type { CutWindow } from '../../../src/ingest/window-cutter.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { type AsfHeader, canonicalAsfHeader, parseAsfHeader } from '../../../src/media/asf-header.js';
import { type AsfRecord, decodeAsfWindow } from '../../../src/media/asf-window.js';
import { audioStream, packetise, packetOf, programme, simpleHeader, videoStream } from '../../support/asf-writer.js';

const PS = 512;
const hasher = { sha256: (bytes: Uint8Array): Uint8Array => Uint8Array.from(createHash('sha256').update(bytes).digest()) };
/** 10 packets a window. */
const HEADER = simpleHeader({ packetBytes: PS, maxBitrate: 81_920 });
const N = 10;
const EPOCH_ID = epochIdOf(canonicalAsfHeader(HEADER, parseAsfHeader(HEADER) as AsfHeader), hasher);

function cutter(options: Partial<AsfCutterOptions> = {}, header = HEADER): AsfCutter {
  const made = new AsfCutter({ windowMs: 500, hasher, ...options });
  assert.not.instance(made.pushHeader(header), Malformed);
  return made;
}

/** Packet `index` of a source whose packets are 50 ms apart. */
function packet(index: number, mark = 0, sendMs = index * 50): Uint8Array {
  return packetOf(
    [
      {
        stream: 1,
        key: index % 25 === 0,
        objectNumber: index,
        presentationMs: sendMs,
        data: Uint8Array.of(index % 25 === 0 ? 1 : 0x90, mark),
      },
    ],
    PS,
    sendMs,
    true,
  );
}

function feed(target: AsfCutter, from: number, to: number, mark = 0): readonly CutWindow[] {
  const windows: CutWindow[] = [];
  for (let index = from; index < to; index++) windows.push(...target.pushPacket(index, packet(index, mark)).windows);
  return windows;
}

function recordsOf(window: CutWindow | undefined): readonly AsfRecord[] {
  const decoded = decodeAsfWindow(window?.bytes ?? new Uint8Array(0));
  if (decoded instanceof Malformed) throw new Error(decoded.reason);
  return decoded.records;
}

const numbers = (windows: readonly CutWindow[]): number[] => windows.map(({ number }) => number);

test('a window has the packets of half a second at the header rate, within 4 and 1024 and 1 MiB', () => {
  const count = (packetBytes: number, maxBitrate: number): number =>
    packetsPerWindow(parseAsfHeader(simpleHeader({ packetBytes, maxBitrate })) as AsfHeader, 500);
  assert.is(count(512, 81_920), 10);
  assert.is(count(4096, 64_000), 4);
  assert.is(count(4096, 1), 15, 'the 1 bit/s that VLC claims is read as 1 Mbit/s');
  assert.is(count(64, 0xffff_ffff), 1024);
  assert.is(count(65_527, 0xffff_ffff), 16);
});

test('a source joined at its beginning gives windows from 0 on, the first without one before it', () => {
  const windows = feed(cutter(), 0, 3 * N);
  assert.equal(numbers(windows), [0, 1, 2]);
  assert.equal(
    windows.map(({ previous }) => previous),
    [null, 0, 1],
  );
  assert.equal(
    windows.map(({ discontinuity }) => discontinuity),
    [true, false, false],
  );
  assert.equal(
    windows.map(({ startMs, durationMs }) => [startMs, durationMs]),
    [
      [0, 500],
      [500, 500],
      [1000, 500],
    ],
  );
});

test('a window holds the epoch and its packets as they came', () => {
  const [window] = feed(cutter(), 0, N);
  const decoded = decodeAsfWindow(window?.bytes ?? new Uint8Array(0));
  assert.not.instance(decoded, Malformed);
  if (decoded instanceof Malformed) return;
  assert.equal(decoded.epochId, EPOCH_ID);
  assert.equal(
    decoded.records.map(({ locationId }) => locationId),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.equal(decoded.records[3]?.payload, packet(3));
});

test('a source joined in the middle gives whole windows only, and names the one before them', () => {
  const windows = feed(cutter(), 1004, 1030);
  assert.equal(numbers(windows), [101, 102]);
  assert.equal(
    windows.map(({ previous, discontinuity }) => [previous, discontinuity]),
    [
      [100, false],
      [101, false],
    ],
  );
});

test('a hole costs the windows it touches, and the next still names the one before it', () => {
  const target = cutter();
  const windows = [...feed(target, 0, 14), ...feed(target, 17, 42)];
  assert.equal(numbers(windows), [0, 2, 3]);
  assert.is(windows[1]?.previous, 1);
  assert.is(target.droppedWindows, 1);
});

test('key marks stand at the records that begin a key frame', () => {
  const windows = feed(cutter(), 0, 4 * N);
  assert.equal(
    windows.map(({ keyMarks }) => keyMarks.length),
    [1, 0, 1, 0],
  );
  const mark = windows[2]?.keyMarks[0];
  const payload = packet(25);
  assert.is(mark?.afterStartMs, 250);
  const at = mark?.offsetBytes ?? 0;
  assert.equal(windows[2]?.bytes.subarray(at, at + 6), Uint8Array.of(0, 0, 0, 25, 0, payload.length));
});

test('a source that tells no key frames has a mark at the first packet of every window', () => {
  const header = simpleHeader({ packetBytes: PS, maxBitrate: 81_920 }, [audioStream(2)]);
  const windows = feed(cutter({}, header), 0, 2 * N);
  assert.equal(
    windows.map(({ keyMarks }) => keyMarks),
    [[{ offsetBytes: 8, afterStartMs: 0 }], [{ offsetBytes: 8, afterStartMs: 0 }]],
  );
});

test('the header of the first epoch is announced once, and again when it changes', () => {
  const target = new AsfCutter({ windowMs: 500, hasher });
  const first = target.pushHeader(HEADER);
  assert.is(first instanceof Malformed ? '' : first.epoch?.reason, 'first');
  const counted = simpleHeader({ packetBytes: PS, maxBitrate: 81_920, counts: 99 });
  const same = target.pushHeader(counted);
  assert.is(same instanceof Malformed ? '' : same.epoch, undefined);
  feed(target, 0, 25);
  const other = target.pushHeader(simpleHeader({ packetBytes: PS, maxBitrate: 81_920 }, [videoStream(1, 'WMV1')]));
  assert.is(other instanceof Malformed ? '' : other.epoch?.reason, 'header');
});

test('after another header numbers go on at a multiple of 16, with a break', () => {
  const target = cutter();
  feed(target, 0, 25);
  target.pushHeader(simpleHeader({ packetBytes: PS, maxBitrate: 81_920 }, [videoStream(1, 'WMV1')]));
  const windows = feed(target, 0, 2 * N);
  assert.equal(
    windows.map(({ number, previous, discontinuity }) => [number, previous, discontinuity]),
    [
      [16, null, true],
      [17, 16, false],
    ],
  );
});

test('two publishers that lost different windows over a restart agree on the numbers behind it', () => {
  const other = simpleHeader({ packetBytes: PS, maxBitrate: 81_920 }, [videoStream(1, 'WMV1')]);
  const [one, two] = [cutter(), cutter()];
  feed(one, 0, 40);
  feed(two, 7, 58);
  for (const target of [one, two]) target.pushHeader(other);
  assert.equal(numbers(feed(one, 3, 50)), [17, 18, 19, 20]);
  assert.equal(numbers(feed(two, 23, 50)), [19, 20]);
});

test('two publishers that return behind a restart at different windows agree on the numbers', () => {
  const other = simpleHeader({ packetBytes: PS, maxBitrate: 81_920 }, [videoStream(1, 'WMV1')]);
  const [one, two] = [cutter(), cutter()];
  for (const target of [one, two]) {
    feed(target, 0, 170);
    target.pushHeader(other);
  }
  assert.equal(numbers(feed(one, 0, 30)), [32, 33, 34]);
  assert.equal(numbers(feed(two, 140, 160)), [46, 47]);
});

test('a saved numbering is not gone on with by a source that began again under the same header', () => {
  const numbering = { epochId: EPOCH_ID, base: 0 };
  assert.equal(numbers(feed(cutter({ firstNumber: 101, numbering, numberingAbove: 80 }), 5, 30)), [113, 114]);
  assert.equal(numbers(feed(cutter({ firstNumber: 101, numbering, numberingAbove: 80 }), 895, 920)), [90, 91]);
});

test('a malformed header changes nothing', () => {
  const target = cutter();
  feed(target, 0, 15);
  assert.instance(target.pushHeader(new Uint8Array(10)), Malformed);
  assert.equal(numbers(feed(target, 15, 20)), [1]);
});

test('a server that sends again what it has sent, after reconnecting with the same header, breaks nothing', () => {
  const target = cutter();
  const windows = feed(target, 0, 25);
  target.pushHeader(HEADER);
  assert.equal(numbers([...windows, ...feed(target, 12, 40)]), [0, 1, 2, 3]);
  assert.is(target.droppedPackets, 0);
});

test('other bytes for a known number begin an epoch', () => {
  const target = cutter();
  feed(target, 0, 25);
  const cut = target.pushPacket(20, packet(20, 1));
  assert.is(cut.epoch?.reason, 'conflict');
  assert.equal(cut.epoch?.id, EPOCH_ID);
  const windows = feed(target, 21, 40, 1);
  assert.equal(
    windows.map(({ number, discontinuity }) => [number, discontinuity]),
    [
      [2, true],
      [3, false],
    ],
  );
});

test('numbers that begin anew under the same header begin an epoch, at once when they are far back and after a while when near', () => {
  const far = cutter();
  feed(far, 1000, 1025);
  assert.is(far.pushPacket(0, packet(0, 1)).epoch?.reason, 'backward');
  const near = cutter();
  feed(near, 500, 520);
  const reasons = new Set<string>();
  for (let index = 450; index < 700; index++) {
    const { epoch } = near.pushPacket(index, packet(index, 1));
    if (epoch) reasons.add(epoch.reason);
  }
  assert.equal([...reasons], ['conflict']);
});

test('a jump ahead of more than 16 windows begins an epoch, and a shorter one does not', () => {
  const target = cutter();
  feed(target, 0, 10);
  assert.is(target.pushPacket(9 + 16 * N, packet(9 + 16 * N)).epoch, undefined);
  assert.is(target.pushPacket(10 + 32 * N, packet(10 + 32 * N)).epoch?.reason, 'jump');
  assert.equal(numbers(feed(target, 11 + 32 * N, 50 + 32 * N)), [33, 34, 35, 36]);
});

test('row 16: a packet longer than the packet size is dropped and leaves a hole', () => {
  const target = cutter();
  feed(target, 0, 5);
  target.pushPacket(5, new Uint8Array(PS + 1));
  assert.equal(numbers(feed(target, 6, 20)), [1]);
  assert.is(target.droppedPackets, 1);
});

test('row 17: packets that cannot be read pass into the window', () => {
  const target = cutter();
  const windows: CutWindow[] = [];
  for (let index = 0; index < N; index++) windows.push(...target.pushPacket(index, new Uint8Array(index % 2)).windows);
  assert.equal(numbers(windows), [0]);
  assert.is(windows[0]?.durationMs, 500);
});

test('row 25: send times that dip a little are evened out, and a jump of a day is told as a break', () => {
  const target = cutter();
  const timesMs = [0, 500, 300, 1000, 86_400_000, 86_400_500];
  const windows = timesMs.flatMap((startMs, k) =>
    Array.from(
      { length: N },
      (_, place) => target.pushPacket(k * N + place, packet(k * N + place, 0, startMs + 10 * place)).windows,
    ).flat(),
  );
  assert.equal(
    windows.map(({ startMs }) => startMs),
    [0, 500, 501, 1000, 86_400_000, 86_400_500],
  );
  assert.equal(
    windows.map(({ discontinuity }) => discontinuity),
    [true, false, false, false, true, false],
  );
  assert.equal(
    windows.map(({ previous }) => previous),
    [null, 0, 1, 2, 3, 4],
  );
});

test('numbers of packets that wrap at 2^32 go on, with a short window before the wrap', () => {
  const target = cutter();
  const last = 2 ** 32;
  const windows: CutWindow[] = [];
  for (let index = last - 26; index < last + 20; index++) windows.push(...target.pushPacket(index % last, packet(index)).windows);
  const whole = (last - 26) / N;
  assert.equal(
    numbers(windows).map((number) => number - whole),
    [0, 1, 2, 3, 4],
  );
  assert.equal(
    windows.map((window) => recordsOf(window).length),
    [N, N, last % N, N, N],
  );
});

test('at the end of the source an open window seen from its beginning is whole', () => {
  const target = cutter();
  feed(target, 0, 13);
  const { windows } = target.flush();
  assert.equal(numbers(windows), [1]);
  assert.is(recordsOf(windows[0]).length, 3);
  assert.equal(numbers(feed(target, 13, 30)), [2]);
  const late = cutter();
  feed(late, 3, 8);
  assert.equal(late.flush().windows, []);
});

test('after a restart of the station numbers stay above the last used, or go on where the saved numbering fits', () => {
  assert.equal(numbers(feed(cutter({ firstNumber: 1000 }), 95, 120)), [1002, 1003]);
  const numbering = { epochId: EPOCH_ID, base: 32 };
  const windows = feed(cutter({ firstNumber: 1000, numbering }), 95, 120);
  assert.equal(
    windows.map(({ number, previous, discontinuity }) => [number, previous, discontinuity]),
    [
      [42, 41, false],
      [43, 42, false],
    ],
  );
});

test('the numbering of another publisher is adopted, unless numbers would go back', () => {
  const target = cutter();
  feed(target, 0, 25);
  target.adopt({ epochId: EPOCH_ID, base: 48 });
  assert.equal(numbers(feed(target, 25, 40)), [50, 51]);
  assert.equal(target.numbering?.base, 48);
  target.adopt({ epochId: EPOCH_ID, base: 16 });
  assert.equal(numbers(feed(target, 40, 50)), [52]);
});

test('packets before any header are dropped', () => {
  const target = new AsfCutter({ windowMs: 500, hasher });
  assert.equal(target.pushPacket(0, packet(0)), { windows: [] });
  assert.is(target.droppedPackets, 1);
});

test('a programme as an encoder packetises it gives windows whose packets are the programme again', () => {
  const records = packetise(programme(6), PS);
  const target = cutter();
  const windows = records.flatMap(({ locationId, payload }) => target.pushPacket(locationId, payload).windows);
  const out = windows.flatMap(recordsOf);
  assert.equal(out, records.slice(0, Math.floor(records.length / N) * N));
});

test.run();
