/** Who may publish, with real processes: a station that the owner delegated, withdraws and delegates again, and one that nobody delegated. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner, nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import { encodeTag } from '../../src/media/flv.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { type Grant, parseGrant } from '../../src/plugins/grant.js';
import { LiveSwarm } from '../../src/plugins/live-swarm.js';
import { signCertificate } from '../../src/relay/exchange/certificate.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { differenceWithin, FlvRecorder, longestGapMs } from '../support/flv-recorder.js';
import { freePort } from '../support/free-port.js';
import { videoTag } from '../support/media-fixture.js';
import { MemoryLog } from '../support/memory-log.js';
import { temporaryFolder } from '../support/program.js';
import { runShoal, type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const closers: (() => Promise<void> | void)[] = [];

test.after.each(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function kept(starting: Promise<ShoalProcess>): Promise<ShoalProcess> {
  const shoal = await starting;
  closers.push(() => shoal.stop());
  return shoal;
}

/** A data folder with the settings of whoever uses it, and what `shoal` says there. */
class Desk {
  readonly dataDir = join(temporaryFolder('desk'), 'data');
  readonly settings: Readonly<Record<string, string | number | boolean>>;

  private constructor(swarmPort: number, trackerPort: number) {
    this.settings = { 'station.testCard': false, 'swarm.port': swarmPort, 'tracker.port': trackerPort };
  }

  static async open(): Promise<Desk> {
    return new Desk(await freePort(), await freePort());
  }

  /** Standard output of a command that must come off. */
  async say(...words: readonly string[]): Promise<string> {
    const { program } = await runShoal(words, this);
    assert.is(program.exit?.code, 0, program.errors);
    return program.output.trim();
  }

  async publisherKey(): Promise<string> {
    return (JSON.parse(await this.say('channel', 'show', '--json')) as { publisherKey: string }).publisherKey;
  }
}

function recorderOf(shoal: ShoalProcess): FlvRecorder {
  const recorder = new FlvRecorder(shoal.channel.watch.flv);
  closers.push(() => recorder.stop());
  return recorder;
}

function publisherOf(shoal: ShoalProcess): FfmpegPublisher {
  const publisher = new FfmpegPublisher(shoal.publishUrl(), { size: '320x180', videoKilobitsPerSecond: 300 });
  closers.push(() => publisher.stop());
  return publisher;
}

test('a delegated station publishes, stops within seconds of being withdrawn, and goes on when it is delegated again', async () => {
  const owner = await Desk.open();
  const other = await Desk.open();
  await owner.say('channel', 'create', 'Shared');
  const key = await other.publisherKey();
  await other.say('channel', 'accept', await owner.say('channel', 'delegate', 'Shared', key, '--label', 'Backup'));
  const [ownerStation, otherStation] = await Promise.all([kept(startStation(owner)), kept(startStation(other))]);
  assert.is(otherStation.channel.id, ownerStation.channel.id);
  const viewer = await kept(watch(ownerStation.channel.link));
  publisherOf(otherStation);
  const recorder = recorderOf(viewer);
  await recorder.whenFrames(150);
  assert.is(viewer.status.holes, 0);
  assert.equal([ownerStation.status.authority, otherStation.status.authority, viewer.status.authority], ['owner', 'delegated', 'none']);
  assert.is(otherStation.status.publisherKey, key);
  assert.is.not(ownerStation.status.publisherKey, key);

  await owner.say('channel', 'revoke', 'Shared', key);
  const revokedMs = performance.now();
  await otherStation.whenStatus('the station knows that it is withdrawn', ({ authority }) => authority === 'withdrawn', 5_000);
  await otherStation.whenLogged(/does not publish \\"Shared\\": the owner has withdrawn its key\..*shoal channel delegate/);
  await viewer.whenStatus('the viewer gets nothing any more', ({ live }) => !live, 10_000);
  const lastFrameMs = recorder.frames.at(-1)?.arrivedMs ?? 0;
  assert.ok(lastFrameMs - revokedMs < 4_000, `media came for ${Math.round(lastFrameMs - revokedMs)} ms more`);
  const delivered = viewer.status.windowsDelivered;

  await other.say('channel', 'accept', await owner.say('channel', 'delegate', 'Shared', key));
  await otherStation.whenStatus('the station publishes again', ({ authority }) => authority === 'delegated', 5_000);
  await otherStation.whenLogged(/may publish \\"Shared\\" again/);
  await viewer.whenStatus('the viewer goes on', ({ live, windowsDelivered }) => live && windowsDelivered > delivered + 4, 15_000);
  for (const { program } of [ownerStation, otherStation, viewer]) {
    assert.not.match(program.errors, /banned/);
    assert.not.match(program.errors, /"level":"error"/);
  }
});

test('a station whose certificate ends warns before, stops, says what to do, and goes on with a new grant; a notice withdraws it without the owner', async () => {
  const owner = await Desk.open();
  const other = await Desk.open();
  await owner.say('channel', 'create', 'Shared');
  const key = await other.publisherKey();
  await other.say('channel', 'accept', await owner.say('channel', 'delegate', 'Shared', key, '--days', '0.0001'));
  const station = await kept(startStation(other));
  await station.whenLogged(/the right of this station to publish \\"Shared\\" ends at/);
  await station.whenStatus('it has ended', ({ authority }) => authority === 'expired', 15_000);
  await station.whenLogged(/does not publish \\"Shared\\": its certificate ended at .*shoal channel delegate/);
  await other.say('channel', 'accept', await owner.say('channel', 'delegate', 'Shared', key));
  await station.whenStatus('it is renewed', ({ authority }) => authority === 'delegated', 5_000);
  const notice = await owner.say('channel', 'revoke', 'Shared', key);
  await other.say('channel', 'accept', notice);
  await station.whenStatus('it is withdrawn', ({ authority }) => authority === 'withdrawn', 5_000);
});

/** A peer on the real wire that publishes windows of its own in the channel of this grant, with a certificate of its own making. */
async function startImpostor(grant: Grant, victimPort: number): Promise<MemoryLog> {
  const log = new MemoryLog();
  const stranger = createSigner(new Uint8Array(32).fill(66));
  const network = await PeerNetwork.start({ host: '127.0.0.1', port: 0, maxConnections: 10, log, hasher: nodeHasher });
  const { defaults } = readConfigFiles({ currentDir: '/nonexistent', configHome: '/nonexistent' });
  const { config } = resolveConfig({ defaults });
  const unlimited = { uplink: new TokenBucket(0), downlink: new TokenBucket(0) };
  const nowMs = Date.now();
  const swarm = new LiveSwarm(
    { config, log, network, hasher: nodeHasher, verifier: nodeVerifier, ...unlimited },
    {
      id: grant.id,
      descriptor: grant.descriptorBytes,
      signer: stranger,
      certificate: signCertificate({ key: stranger.publicKey, fromMs: nowMs - 1_000, untilMs: nowMs + 1_000_000 }, grant.id, stranger),
      trackers: [],
      peers: [`127.0.0.1:${victimPort}`],
      onEvent: () => undefined,
    },
  );
  swarm.start();
  let number = 10;
  const timer = setInterval(() => {
    number += 1;
    const bytes = encodeTag(videoTag(number * 500, true, 66, 5_000));
    const content = { number, previous: number - 1, discontinuity: false, startMs: number * 500, durationMs: 500, bytes };
    swarm.command({ kind: 'publish', content: { ...content, keyMarks: [{ offsetBytes: 0, afterStartMs: 0 }] } });
  }, 100);
  closers.push(async () => {
    clearInterval(timer);
    await swarm.stop();
    await network.stop();
  });
  return log;
}

test('an impostor that delegated itself is banned after its second window, and not a byte of it reaches a player', async () => {
  const owner = await Desk.open();
  await owner.say('channel', 'create', 'Shared');
  const grant = parseGrant(await owner.say('channel', 'delegate', 'Shared', 'ab'.repeat(32))) as Grant;
  const station = await kept(startStation(owner));
  const swarmPort = await freePort();
  const viewer = await kept(watch(station.channel.link, { settings: { 'swarm.port': swarmPort } }));
  const publisher = publisherOf(station);
  const recorder = recorderOf(viewer);
  await recorder.whenFrames(50);
  await startImpostor(grant, swarmPort);
  await viewer.whenLogged(/window \d+ without the signature of the owner or of anybody it delegated, and not for the first time/);
  await recorder.whenFrames(recorder.frames.length + 150);
  await until('the impostor is gone', () => viewer.status.peers === 1);
  await publisher.stop();
  assert.is(differenceWithin(await publisher.sentFrames(), recorder.frames), null);
  assert.ok(longestGapMs(recorder.frames) <= 2_000, `no tag for ${Math.round(longestGapMs(recorder.frames))} ms`);
  assert.match(viewer.program.errors, /peer banned/);
});

test.run();
