/**
 * Fan-out: many HTTP-FLV players of one 600 kbit/s channel on one machine, on the station and on node-media-server, turn by turn, both fed by one
 * publisher all the time. Other numbers of players than 50, 300 and 1000 are given as words: `npm run bench fan-out 100`.
 */
import { argv } from 'node:process';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, show, showPercent } from './support/figures.js';
import type { PacedPublisher } from './support/paced-publisher.js';
import { PlayerCrowd } from './support/player-crowd.js';
import { type Usage, UsageMeter } from './support/process-usage.js';
import { makeRecording } from './support/recording.js';
import { publishTarget } from './support/station.js';

const BITS_PER_SECOND = 600_000;
const RECORDING_SECONDS = 20;
const START_MS = 4_000;
const SETTLE_MS = 3_000;
const MEASURED_MS = 8_000;
const ROUNDS = 3;
const PLAYERS = [50, 300, 1_000];

interface Server {
  readonly name: string;
  readonly pid: number;
  readonly flv: string;
}

interface Round extends Usage {
  readonly deliveredRatio: number;
  readonly lost: number;
}

const asked = argv
  .slice(2)
  .map(Number)
  .filter((count) => count > 0);
const counts = asked.length > 0 ? asked : PLAYERS;

await BenchRun.run('fan-out', 60_000 + counts.length * ROUNDS * 60_000, async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const station = await run.station();
  const reference = await run.reference();
  const publisher = await run.publish(recording, [publishTarget(station), reference.publishTarget]);
  await run.wait(START_MS);
  const servers: readonly Server[] = [
    { name: 'node-media-server', pid: reference.pid, flv: reference.flv },
    { name: 'shoal station', pid: station.program.pid, flv: station.channel.watch.flv },
  ];
  const rows: Row[] = [];
  const results: object[] = [];
  for (const players of [0, ...counts]) {
    const rounds = await measureAll(run, servers, players, publisher);
    const reference = median(rounds[0]?.map(({ cpuPercent }) => cpuPercent) ?? []);
    for (const [index, { name }] of servers.entries()) {
      const own = rounds[index] ?? [];
      rows.push(rowOf(players, name, own, reference));
      results.push({ players, server: name, rounds: own });
    }
  }
  if (!publisher.isConnected) throw new Error('A server has dropped the publisher.');
  const head = ['players', 'server', '% of a core', 'lowest', 'highest', 'CPU / NMS', 'delivered', 'lost', 'RSS MiB'];
  run.table(`Fan-out of one ${BITS_PER_SECOND / 1000} kbit/s channel over HTTP-FLV, median of ${ROUNDS} rounds`, head, rows);
  return { bitsPerSecond: BITS_PER_SECOND, measuredMs: MEASURED_MS, results };
});

/** Turn by turn, so that a noisy moment hits both. */
async function measureAll(
  run: BenchRun,
  servers: readonly Server[],
  players: number,
  publisher: PacedPublisher,
): Promise<readonly Round[][]> {
  const rounds: Round[][] = servers.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, server] of servers.entries()) {
      rounds[index]?.push(await measure(run, server, players, publisher));
      run.progress(`${players} players, ${server.name}: ${show(rounds[index]?.at(-1)?.cpuPercent ?? Number.NaN, 1)} % of a core`);
    }
  }
  return rounds;
}

async function measure(run: BenchRun, { pid, flv }: Server, players: number, publisher: PacedPublisher): Promise<Round> {
  const crowd = await PlayerCrowd.open(flv, players);
  try {
    await run.wait(SETTLE_MS);
    const usage = new UsageMeter(pid);
    const [beganBytes, beganSentBytes] = [crowd.receivedBytes, publisher.sentBytes];
    await usage.begin();
    await run.wait(MEASURED_MS);
    const receivedBytes = crowd.receivedBytes - beganBytes;
    const nominalBytes = players * (publisher.sentBytes - beganSentBytes);
    return { ...(await usage.end()), deliveredRatio: receivedBytes / nominalBytes, lost: crowd.lost };
  } finally {
    crowd.close();
  }
}

function rowOf(players: number, name: string, rounds: readonly Round[], reference: number): Row {
  const cpu = rounds.map(({ cpuPercent }) => cpuPercent);
  const delivered = median(rounds.map(({ deliveredRatio }) => deliveredRatio));
  const lost = Math.max(...rounds.map((round) => round.lost));
  return [
    String(players),
    name,
    show(median(cpu), 1),
    show(Math.min(...cpu), 1),
    show(Math.max(...cpu), 1),
    show(median(cpu) / reference, 2),
    Number.isFinite(delivered) ? showPercent(delivered) : 'n/a',
    String(lost),
    show(median(rounds.map(({ residentMib }) => residentMib))),
  ];
}
