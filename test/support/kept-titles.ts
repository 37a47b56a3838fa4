/** A process's library of titles within the test's own process: loopback only, on free ports, in a data folder of its own. */
import { join } from 'node:path';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { type RunningTitles, startTitles } from '../../src/shoal.js';
import { freePort } from './free-port.js';
import { MemoryLog } from './memory-log.js';
import { temporaryFolder } from './program.js';

export interface KeptTitles {
  readonly shoal: RunningTitles;
  /** Without a trailing slash. */
  readonly origin: string;
  readonly dataDir: string;
  /** Where titles that are added lie. */
  readonly filesFolder: string;
  /** Where peers reach it. */
  readonly swarmPort: number;
  readonly log: MemoryLog;
  stop(): Promise<void>;
}

export interface KeptTitlesOptions {
  readonly dataDir?: string;
  /** `key=value`, before the loopback settings. */
  readonly settings?: readonly string[];
  /** With a tracker of its own, as a publisher has. Default false. */
  readonly withTracker?: boolean;
}

const LOOPBACK = [
  ...['relay.http.port=0', 'relay.mms.port=0', 'swarm.host=127.0.0.1', 'swarm.publicHost=127.0.0.1'],
  ...['tracker.host=127.0.0.1', 'tracker.port=0', 'titles.dht=false', 'titles.localDiscovery=false'],
];

export async function keepTitles(options: KeptTitlesOptions = {}): Promise<KeptTitles> {
  const dataDir = options.dataDir ?? join(temporaryFolder('titles'), 'data');
  const filesFolder = join(dataDir, 'titles', 'files');
  const { defaults } = readConfigFiles({ currentDir: '/nonexistent', configHome: '/nonexistent' });
  const swarmPort = await freePort();
  const settings = [`swarm.port=${swarmPort}`, ...LOOPBACK, ...(options.settings ?? []), `dataDir=${dataDir}`];
  const log = new MemoryLog();
  const shoal = await startTitles({ ...resolveConfig({ defaults, settings }), log }, { withTracker: options.withTracker ?? false });
  return { shoal, origin: shoal.ready.page.replace(/\/$/, ''), dataDir, filesFolder, swarmPort, log, stop: () => shoal.stop() };
}
