/**
 * The command line: reads arguments and environment, starts what they ask for, prints what a person or a script needs, and stops it cleanly.
 */
import './commands/heap-bounds.js';
import { argv, env, exit } from 'node:process';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { SimulateOptions } from './commands/simulate.js';
import { createSigner, generateSeed } from './io/crypto.js';
import { readConfigFiles } from './io/files/config-file.js';
import { KeyFile } from './io/files/key-file.js';
import { publisherSeed } from './io/files/publisher-file.js';
import { createLogger } from './io/logger.js';
import { ProcessLife } from './io/process-life.js';
import { launchPlayer, type PlayerName } from './io/programs/player.js';
import { Terminal } from './io/terminal.js';
import { ShoalError } from './kernel/errors.js';
import { type PeerAddress, parseAddress } from './kernel/peer-address.js';
import type { Log } from './kernel/ports.js';
import { channelAccount, channelAccountLines, stationAccount, stationAccountLines } from './plugins/channel-account.js';
import { TEST_CARD_NAME } from './plugins/channel-roster.js';
import { slugOf } from './plugins/channel-slug.js';
import { CONFIG_OPTIONS, resolveConfig, type ShoalConfig } from './plugins/config.js';
import { declareChannel, declareChannels, pullAddressOf } from './plugins/declared-channel.js';
import {
  type Accepted,
  accept,
  type DelegationDesk,
  type DelegationTerms,
  delegate,
  type LocalTerms,
  revoke,
} from './plugins/delegation.js';
import { PublisherNews, progressLine, stationInstructions, viewerInstructions } from './plugins/instructions.js';
import { dateOf } from './plugins/station-authority.js';
import { type RunningShoal, type ShoalOptions, startStation, VERSION, watchChannel } from './shoal.js';
import type { CommandContext, GetOptions, PlayOptions, PublishOptions } from './title-commands.js';
import { cleanTracker, cleanWebSeed } from './vod/source-address.js';

interface CommonOptions {
  readonly config?: string;
  readonly data?: string;
  readonly set: readonly string[];
  readonly json?: boolean;
}

interface WatchCommandOptions {
  readonly player?: PlayerName | undefined;
  readonly recordTrace?: string | undefined;
}

const STATUS_PERIOD_MS = 1_000;

const terminal = new Terminal();

const program = new Command('shoal')
  .description('One live source, one swarm: publish with RTMP, watch in any player.')
  .version(VERSION)
  .showHelpAfterError('(shoal --help lists the commands)');

common(program.command('start'))
  .description('run a station: RTMP in, tracker, web page, and a test card')
  .option('--json', 'print one JSON value per line: first "ready", then "status" every second')
  .action((options: CommonOptions) => run(options, (shoal) => startStation(shoal)));

common(program.command('watch'))
  .description('watch a channel in any player on this machine')
  .argument('<link>', 'magnet or shoal: link, or a bare channel id')
  .option('--json', 'print one JSON value per line: first "ready", then "status" every second')
  .addOption(new Option('--player <player>', 'open the channel in a player').choices(['mpv', 'vlc', 'ffplay']))
  .option('--record-trace <file>', 'record all that the live exchange is told and does there, media included, for "shoal sim --replay"')
  .action((link: string, options: CommonOptions & WatchCommandOptions) => {
    return run(options, (shoal) => watchChannel(link, { ...shoal, tracePath: options.recordTrace }), { player: options.player });
  });

common(program.command('publish'))
  .description('make titles of files or folders and give them to whoever asks: prints a link for each')
  .argument('<paths...>', 'files or folders')
  .option('--json', 'print one JSON value per line')
  .addOption(
    new Option('--tracker <url>', 'a tracker of the torrent, beside the own one; may be repeated').argParser(trackers).default([], 'none'),
  )
  .addOption(new Option('--web-seed <url>', 'a server that has the files too; may be repeated').argParser(webSeeds).default([], 'none'))
  .option('--name <name>', 'what to call it (default: the name of the file or folder)', nonEmpty)
  .option('--private', 'peers come from the trackers alone')
  .option('--comment <text>', 'a word about it')
  .option('--piece-length <KiB>', 'size of a piece (default: chosen by size)', kibibytes)
  .option('--torrent <file>', 'write the torrent there: a .torrent file, or a folder (default: in the data folder)')
  .option('--http', 'other machines may fetch the files by HTTP as well, as from a web seed')
  .option('--watch', 'the paths are folders: publish whatever lies in them, for as long as it lies there')
  .action((paths: readonly string[], options: CommonOptions & PublishOptions) => {
    return runTitles(options, (commands, context) => commands.publish(paths, options, context));
  });

common(program.command('get'))
  .description('download titles by BitTorrent, and end when they are here')
  .argument('<sources...>', 'magnet links, .torrent files, or addresses of .torrent files')
  .option('--json', 'print one JSON value per line')
  .option('--folder <folder>', 'where to put them (default: titles.folder)')
  .option('--seed', 'go on giving them afterwards')
  .addOption(peerOption())
  .action((sources: readonly string[], options: CommonOptions & GetOptions) => {
    return runTitles(options, (commands, context) => commands.get(sources, options, context));
  });

common(program.command('play'))
  .description('play a title while it downloads: prints its address for players; with --player, ends when the player ends')
  .argument('<source>', 'magnet link, .torrent file, or address of one')
  .option('--json', 'print one JSON value per line')
  .option('--folder <folder>', 'where to put it (default: titles.folder)')
  .option('--file <file>', 'which file to play: its number, its path, or a part of that (default: the only film, or all)', nonEmpty)
  .addOption(peerOption())
  .addOption(new Option('--player <player>', 'open it in a player').choices(['mpv', 'vlc', 'ffplay']))
  .action((source: string, options: CommonOptions & PlayOptions) => {
    return runTitles(options, (commands, context) => commands.play(source, options, context));
  });

program
  .command('sim')
  .description('run a scenario in virtual time: the shipped code in a simulated network')
  .argument('[scenario]', 'a name of the list, or a .json5 file')
  .option('--list', 'list the scenarios')
  .option('--seed <n>', 'first seed (default: as the scenario says)', wholeNumber)
  .option('--seeds <n>', 'how many seeds, counting up from the first', oneOrMore, 1)
  .option('--json <file>', 'write the report there')
  .option('--svg <folder>', 'write plots there')
  .option('--baseline <file>', 'compare with a report written before; ends with code 1 when a figure is worse by more than its noise')
  .option('--log <file>', 'write the log of the first run there: equal runs write equal logs')
  .option('--threads <n>', 'worlds at once (default: one for each processor)', oneOrMore)
  .option('--replay <file>', 'instead of a scenario: replay what "shoal watch --record-trace" wrote; ends with code 1 at a difference')
  .addOption(
    new Option('--set <key=value>', 'set one option of the scenario, as in viewers.count=50; may be repeated')
      .argParser(collect)
      .default([], 'none'),
  )
  .action(async (scenario: string | undefined, options: SimulateOptions & { readonly replay?: string | undefined }) => {
    if (options.replay !== undefined) {
      const { replayTrace } = await import('./commands/replay.js');
      process.exitCode = replayTrace(options.replay, scenario, terminal);
      return;
    }
    const { simulate } = await import('./commands/simulate.js');
    process.exitCode = await simulate(scenario, options, terminal);
  });

const channel = program.command('channel').description('make and list the channels of this station');
common(channel.command('create'))
  .description('make a channel; a station that runs on the same data folder has it within seconds')
  .argument('<name>', 'name for people', nonEmpty)
  .option('--source <name>', 'an rtmp:, http: or mms: address to pull, or a name for what is pushed (default: from the name)')
  .option('--pull <address>', 'where this station really fetches the source; secret, and no part of the channel (default: the source)')
  .option('--open', 'let everybody publish it: its id follows from the source alone, the same at every station')
  .action((name: string, options: CreateOptions) => createChannel(name, options));
common(channel.command('list'))
  .description('list the channels and their stream keys')
  .action((options: CommonOptions) => listChannels(options));

common(channel.command('delete'))
  .description('delete a channel made by "channel create"')
  .argument('<name>', 'its name, or its name in addresses', nonEmpty)
  .action((name: string, options: CommonOptions) => deleteChannel(name, options));

common(channel.command('show'))
  .description('show who owns a channel and who may publish it; without a name, the publisher key of this station and its channels')
  .argument('[name]', 'its name, its name in addresses, or its id', nonEmpty)
  .option('--json', 'print one JSON value')
  .action((name: string | undefined, options: CommonOptions) => showChannel(name, options));
common(channel.command('delegate'))
  .description('let another station publish a channel of this one: prints a grant, for "shoal channel accept" there')
  .argument('<name>', 'its name, its name in addresses, or its id', nonEmpty)
  .argument('<key>', 'publisher key of the other station, as "shoal channel show" prints it there', nonEmpty)
  .option('--days <days>', 'how long it lasts (default: 30, at most 400)', days)
  .option('--until <date>', 'when it ends, as in 2027-01-31 or 2027-01-31T18:00Z')
  .option('--from <date>', 'when it begins (default: ten minutes ago, because clocks differ)')
  .option('--label <text>', 'what to call the other station')
  .action((name: string, key: string, options: CommonOptions & DelegationTerms) => delegateChannel(name, key, options));
common(channel.command('accept'))
  .description('take over a grant, to publish the channel of another station; a renewed one; or a revocation')
  .argument('<grant>', 'what "shoal channel delegate" or "revoke" printed there', nonEmpty)
  .option('--name <name>', 'what to call the channel here (default: its name there)', nonEmpty)
  .option('--pull <address>', 'where to fetch a pulled source from here (default: its public address)', nonEmpty)
  .action((grant: string, options: CommonOptions & LocalTerms) => acceptGrant(grant, options));
common(channel.command('revoke'))
  .description('withdraw a publisher key: within seconds nobody takes what it signs')
  .argument('<name>', 'its name, its name in addresses, or its id', nonEmpty)
  .argument('<key>', 'the publisher key', nonEmpty)
  .action((name: string, key: string, options: CommonOptions) => revokeKey(name, key, options));

const config = program.command('config').description('look at the configuration');
common(config.command('check'))
  .description('say whether the configuration is right, and if not, what is wrong and where')
  .action((options: CommonOptions) => {
    const { channels, testCard } = loadConfig(options).config.station;
    declareChannels(channels, testCard ? [TEST_CARD_NAME] : []);
    terminal.line('The configuration is right.');
  });
common(config.command('show'))
  .description('print the configuration as it is in force')
  .action((options: CommonOptions) => showConfig(loadConfig(options).config));

// Of a command that never comes to its end, as Node itself has it.
const UNSETTLED = 13;
process.exitCode = UNSETTLED;
program
  .parseAsync(argv)
  .catch(fail)
  .finally(() => {
    if (process.exitCode === UNSETTLED) process.exitCode = undefined;
  });

function common(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (default: config/shoal.json5)')
    .option('--data <dir>', 'folder for everything that is kept (default: data)')
    .addOption(
      new Option('--set <key=value>', 'set one option, as in relay.http.port=0; may be repeated').argParser(collect).default([], 'none'),
    );
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function trackers(value: string, before: readonly string[]): readonly string[] {
  const url = cleanTracker(value);
  if (url === undefined) throw new InvalidArgumentError('expected an address such as http://HOST/announce or udp://HOST:PORT');
  return [...before, url];
}

function webSeeds(value: string, before: readonly string[]): readonly string[] {
  const url = cleanWebSeed(value);
  if (url === undefined) throw new InvalidArgumentError('expected an http or https address');
  return [...before, url];
}

function peerOption(): Option {
  const parse = (text: string, before: readonly PeerAddress[]): readonly PeerAddress[] => [...before, peerAddress(text)];
  return new Option('--peer <host:port>', 'a peer to ask, beside those that are found; may be repeated')
    .argParser(parse)
    .default([], 'none');
}

function peerAddress(text: string): PeerAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new InvalidArgumentError('expected HOST:PORT');
  return address;
}

function kibibytes(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 16 || count > 131_072 || count % 16 !== 0)
    throw new InvalidArgumentError('expected a multiple of 16, from 16 to 131072');
  return count * 1024;
}

function wholeNumber(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0 || text.trim() === '') throw new InvalidArgumentError('expected a whole number');
  return count;
}

/** None at all would be a report of nothing, in which nothing is worse than a baseline. */
function oneOrMore(text: string): number {
  const count = wholeNumber(text);
  if (count === 0) throw new InvalidArgumentError('expected 1 or more');
  return count;
}

function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('a name has at least one character');
  return text.trim();
}

function days(text: string): number {
  const count = Number(text);
  if (!Number.isFinite(count) || count <= 0) throw new InvalidArgumentError('expected a number of days above 0');
  return count;
}

interface LoadedConfig {
  readonly config: ShoalConfig;
  readonly explicitKeys: ReadonlySet<string>;
  /** The user's file holds stream keys, and others can read it. */
  readonly exposedFile: string | undefined;
}

function loadConfig(options: CommonOptions): LoadedConfig {
  const configHome = env['XDG_CONFIG_HOME'];
  const { defaults, file } = readConfigFiles({ currentDir: process.cwd(), file: options.config, configHome });
  const data = options.data === undefined ? [] : [`dataDir=${options.data}`];
  const resolved = resolveConfig({ defaults, file, environment: env, settings: [...data, ...options.set] });
  const holdsKeys = resolved.config.station.channels.some(({ key, pull }) => key !== undefined || pull !== undefined);
  return { ...resolved, exposedFile: holdsKeys && file?.isReadableByOthers ? file.name : undefined };
}

/** What only `shoal watch` has. */
interface Viewing {
  readonly player: PlayerName | undefined;
}

/** Starts, reports, and stops at the first signal; a second signal ends the process at once. */
async function run(options: CommonOptions, start: (shoal: ShoalOptions) => Promise<RunningShoal>, viewing?: Viewing): Promise<void> {
  const shoalOf = shoalOptions(options);
  const life = new ProcessLife(shoalOf.log);
  const shoal = await start(shoalOf);
  if (!life.carry(shoal)) return;
  report(shoal, options.json === true, viewing !== undefined);
  const { flv, mms } = shoal.ready.channels[0]?.watch ?? { flv: null, mms: null };
  const address = flv ?? mms;
  if (viewing?.player && address) openPlayer(viewing.player, address, shoalOf.log);
}

type TitleCommands = typeof import('./title-commands.js');

/** Loaded only here: a station without titles, and a viewer, start faster without them. */
async function runTitles(
  options: CommonOptions,
  command: (commands: TitleCommands, context: CommandContext) => Promise<void>,
): Promise<void> {
  const shoalOf = shoalOptions(options);
  const life = new ProcessLife(shoalOf.log);
  await command(await import('./title-commands.js'), {
    shoal: shoalOf,
    terminal,
    json: options.json === true,
    carry: (stoppable) => void life.carry(stoppable),
    signal: life.signal,
    whenStopped: (unfinished) => life.whenStopped(unfinished),
    finish: (code) => life.end(code),
  });
}

function shoalOptions(options: CommonOptions): ShoalOptions {
  const { config: loaded, explicitKeys, exposedFile } = loadConfig(options);
  const log = createLogger(loaded.log);
  if (exposedFile) log.warn(`${exposedFile} holds stream keys or tokens and others can read it. Run: chmod 600 ${exposedFile}`);
  return { config: loaded, explicitKeys, log };
}

/** A player that cannot be opened is no reason to end: the addresses work in any other. */
function openPlayer(player: PlayerName, address: string, log: Log): void {
  try {
    launchPlayer(player, address);
  } catch (error) {
    log.warn(error instanceof Error ? error.message : String(error));
  }
}

function report(shoal: RunningShoal, json: boolean, viewing: boolean): void {
  const { ready } = shoal;
  if (json) {
    terminal.json(ready);
    setInterval(() => terminal.json(statusLine(shoal)), STATUS_PERIOD_MS);
    return;
  }
  const [first] = ready.channels;
  const lines = viewing && first ? viewerInstructions(ready.page, first) : stationInstructions(ready.page, ready.channels);
  for (const line of lines) terminal.line(line);
  const news = new PublisherNews();
  setInterval(() => {
    const { channels } = shoal.status();
    const [status] = channels;
    if (!viewing) for (const line of news.update(channels)) terminal.line(line);
    else if (status) terminal.progress(progressLine(status.name, status));
  }, STATUS_PERIOD_MS);
}

/** One channel's figures stand at the top level too, so that a script that watches one channel need not look into a list. */
function statusLine(shoal: RunningShoal): unknown {
  const status = shoal.status();
  const [only] = status.channels;
  return status.channels.length === 1 && only ? { event: status.event, ...only, channels: status.channels } : status;
}

/** What only `shoal channel create` has. */
interface CreateOptions extends CommonOptions {
  readonly source?: string;
  readonly pull?: string;
  readonly open?: boolean;
}

function createChannel(name: string, options: CreateOptions): void {
  const { config: loaded } = loadConfig(options);
  const keys = KeyFile.open(loaded.dataDir, generateSeed);
  const slug = slugOf(name, `channel-${keys.channels().length + 1}`);
  const taken = [...(loaded.station.testCard ? [TEST_CARD_NAME] : []), ...loaded.station.channels.map((declared) => declared.name)];
  if (taken.some((other) => slugOf(other, other) === slug)) {
    throw new ShoalError('CHANNEL_EXISTS', `there is a channel with the address "${slug}" already; choose another name`, { slug });
  }
  const { source, pull, open } = options;
  const declared = declareChannel({ name, source, pull });
  keys.addChannel({ ...declared, slug, ...(open ? { open } : {}) });
  terminal.line(`Channel "${name}" is made.`);
  if (pullAddressOf(declared) === undefined) terminal.line(`  Stream key   ${keys.streamKey(slug)}`);
  terminal.line('  A running station has it within seconds, and its page shows the link; otherwise "shoal start" prints both.');
}

function deleteChannel(name: string, options: CommonOptions): void {
  const keys = KeyFile.open(loadConfig(options).config.dataDir, generateSeed);
  const found = keys.channels().find((made) => made.slug === name || made.name === name);
  if (!found)
    throw new ShoalError('CHANNEL_UNKNOWN', `no channel "${name}" was made by "shoal channel create"; "shoal channel list" lists them`);
  keys.removeChannel(found.slug);
  terminal.line(`Channel "${found.name}" is deleted. A station that runs drops it at its next start.`);
}

function listChannels(options: CommonOptions): void {
  const { config: loaded } = loadConfig(options);
  const keys = KeyFile.open(loaded.dataDir, generateSeed);
  const card = loaded.station.testCard ? [{ name: TEST_CARD_NAME, key: keys.streamKey(slugOf(TEST_CARD_NAME, 'card')) }] : [];
  const declared = loaded.station.channels.map(({ name, key }) => ({ name, key: key ?? keys.streamKey(slugOf(name, name)) }));
  const made = keys.channels().map(({ name, slug }) => ({ name, key: keys.streamKey(slug) }));
  for (const { name, key } of [...card, ...declared, ...made]) terminal.line(`${name}   stream key ${key}`);
  if (card.length + declared.length + made.length === 0) terminal.line('There is no channel yet: shoal channel create "My channel"');
}

function deskOf(options: CommonOptions): DelegationDesk {
  const { config: loaded } = loadConfig(options);
  const keys = KeyFile.open(loaded.dataDir, generateSeed);
  const owner = createSigner(keys.ownerSeed);
  const publisher = createSigner(publisherSeed(loaded.dataDir, generateSeed));
  return { config: loaded, keys, owner, publisher, nowMs: Date.now() };
}

function showChannel(name: string | undefined, options: CommonOptions): void {
  const desk = deskOf(options);
  const account = name === undefined ? stationAccount(desk) : channelAccount(desk, name);
  if (options.json) return terminal.json(account);
  const lines = 'channels' in account ? stationAccountLines(account) : channelAccountLines(account);
  for (const line of lines) terminal.line(line);
}

/** The grant alone goes to standard output, so that it can be piped. */
function delegateChannel(name: string, key: string, options: CommonOptions & DelegationTerms): void {
  const { grant, certificate, remarks } = delegate(deskOf(options), name, key, options);
  terminal.line(grant);
  aside([`That station may publish "${name}" until ${dateOf(certificate.untilMs)}. There: shoal channel accept GRANT`, ...remarks]);
}

function acceptGrant(grant: string, options: CommonOptions & LocalTerms): void {
  const desk = deskOf(options);
  const accepted = accept(desk, grant, { name: options.name, pull: options.pull });
  for (const line of acceptedLines(accepted, desk.keys)) terminal.line(line);
}

function acceptedLines({ kind, name, slug, container, untilMs }: Accepted, keys: KeyFile): readonly string[] {
  if (kind === 'revocation')
    return [`The keys that the owner of "${name}" has withdrawn are noted. A running station passes it on within seconds.`];
  const until = `This station may publish "${name}" until ${dateOf(untilMs ?? 0)}.`;
  if (kind === 'renewal') return [until];
  const key = container === 'flv' ? [`  Stream key   ${keys.streamKey(slug)}`] : [];
  return [until, ...key, '  A running station has the channel within seconds; otherwise "shoal start" brings it.'];
}

function revokeKey(name: string, key: string, options: CommonOptions): void {
  const { notice, remarks } = revoke(deskOf(options), name, key);
  terminal.line(notice);
  aside([
    'The key is withdrawn. If this station runs, it tells the swarm within seconds; if not, any other station that publishes the channel',
    'does so after: shoal channel accept REVOCATION',
    ...remarks,
  ]);
}

/** For the person, beside what a script reads. */
function aside(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${line}\n`);
}

function showConfig(shown: ShoalConfig): void {
  for (const { key } of CONFIG_OPTIONS) {
    const value = key.split('.').reduce<unknown>((inner, part) => (inner as Readonly<Record<string, unknown>>)[part], shown);
    terminal.line(`${key} = ${key === 'station.channels' ? `${shown.station.channels.length} channels` : JSON.stringify(value)}`);
  }
}

function fail(error: unknown): never {
  if (error instanceof ShoalError && error.code !== 'INVARIANT') process.stderr.write(`shoal: ${error.message}\n`);
  else process.stderr.write(`shoal: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
  exit(1);
}
