/**
 * Fan-out over MMS: many MMSH players of one 700 kbit/s channel on one core of one station, which pulls the channel from an MMS source.
 *
 * The players run in a process of their own. Where `taskset` is at hand the station has a core for itself and all else shares another one. Other
 * numbers of players than 300, 1500 and 4000 are given as words: `npm run bench mms-fan-out 1000`.
 */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { argv } from 'node:process';
import type { ShoalProcess } from '../test/support/shoal-process.js';
import { makeAsfRecording } from './support/asf-recording.js';
import { PacedAsfSource } from './support/asf-source.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { show, showPercent } from './support/figures.js';
import { MmsCrowd } from './support/mms-crowd.js';
import { InterruptMeter, type Usage, UsageMeter } from './support/process-usage.js';
import { statusNow } from './support/station.js';

const BITS_PER_SECOND = 700_000;
const START_MS = 5_000;
const SETTLE_MS = 8_000;
const MEASURED_MS = 20_000;
const PLAYERS = [300, 1_500, 4_000];
const STATION_CORE = 0;
const PLAYERS_CORE = 1;
const PLAYER_KIB_AIM = 64;
const DELIVERED_AIM = 0.98;

interface Result extends Usage {
  readonly players: number;
  /** Of the station's core: the kernel's work for its sockets, and for those of whatever else ran there. */
  readonly interruptPercent: number;
  readonly deliveredRatio: number;
  readonly missing: number;
  readonly lost: number;
  readonly playerKib: number;
}

const asked = argv
  .slice(2)
  .map(Number)
  .filter((count) => count > 0);
const counts = asked.length > 0 ? asked : PLAYERS;

await BenchRun.run('mms-fan-out', 60_000 + counts.length * 90_000, async (run) => {
  const recording = await makeAsfRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: 30 + counts.length * 90 });
  const source = run.keep(await PacedAsfSource.start(recording));
  const station = await run.station({ 'station.channels': JSON.stringify([{ name: 'Bench', source: source.url }]) });
  const pinned = pin(station.program.pid, STATION_CORE) && pin(process.pid, PLAYERS_CORE);
  run.progress(pinned ? 'the station has a core for itself' : 'taskset is missing, so all share all cores');
  await run.wait(START_MS);
  const results: Result[] = [];
  for (const players of [0, ...counts]) {
    const idleMib = results[0]?.residentMib ?? Number.NaN;
    const result = await measure(run, source, station, players, idleMib);
    results.push(result);
    run.progress(`${players} players: ${show(result.cpuPercent, 1)} % of a core`);
    if (!(await statusNow(station)).live) throw new Error('The station has lost its source.');
  }
  const head = ['players', '% of a core', 'interrupts %', 'delivered', 'missing', 'lost', 'RSS MiB', 'KiB per player', 'players per core'];
  run.table(`Fan-out of one ${show(recording.bitsPerSecond / 1000)} kbit/s channel over MMSH`, head, results.map(rowOf));
  return {
    bitsPerSecond: recording.bitsPerSecond,
    declaredBitsPerSecond: recording.declaredBitsPerSecond,
    measuredMs: MEASURED_MS,
    pinned,
    results,
  };
});

/** Keeps a process and all its threads to one core; children that it starts afterwards stay there too. */
function pin(pid: number, core: number): boolean {
  if (cpus().length <= core) return false;
  try {
    execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function measure(run: BenchRun, source: PacedAsfSource, station: ShoalProcess, players: number, idleMib: number): Promise<Result> {
  const crowd = await MmsCrowd.open(station.channel.watch.mms, players);
  run.onStop(() => crowd.stop());
  await run.wait(SETTLE_MS);
  const usage = new UsageMeter(station.program.pid);
  const interrupts = new InterruptMeter(STATION_CORE);
  const before = await crowd.countBetweenBursts();
  const sentBefore = source.sentPackets;
  await interrupts.begin();
  await usage.begin();
  await run.wait(MEASURED_MS);
  const after = await crowd.countBetweenBursts();
  const sent = source.sentPackets - sentBefore;
  const { cpuPercent, residentMib } = await usage.end();
  const interruptPercent = await interrupts.end();
  await crowd.stop();
  const missing = after.missing - before.missing;
  return {
    players,
    cpuPercent,
    interruptPercent,
    residentMib,
    deliveredRatio: (after.packets - before.packets) / (players * sent),
    missing,
    lost: after.lost,
    playerKib: ((residentMib - idleMib) * 1024) / players,
  };
}

function rowOf({ players, cpuPercent, interruptPercent, deliveredRatio, missing, lost, residentMib, playerKib }: Result): Row {
  const isWhole = deliveredRatio >= DELIVERED_AIM && lost === 0;
  const isSmall = playerKib <= PLAYER_KIB_AIM;
  return [
    String(players),
    show(cpuPercent, 1),
    show(interruptPercent, 1),
    players === 0 ? '' : `${showPercent(deliveredRatio)}${isWhole ? '' : ' (too little)'}`,
    players === 0 ? '' : String(missing),
    players === 0 ? '' : String(lost),
    show(residentMib),
    players === 0 ? '' : `${show(playerKib, 1)}${isSmall ? '' : ' (too much)'}`,
    players === 0 ? '' : show((players * 100) / (cpuPercent + interruptPercent)),
  ];
}
