/**
 * The frame of one measurement: it stops what it started however it ends, and prints a table and one JSON line.
 *
 * Tables go to standard output, plain or (`--markdown`) ready to be pasted into `docs/performance.md`; progress goes to standard error.
 */
import { cpus, loadavg } from 'node:os';
import { argv, exit, stderr, stdout } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { type ShoalProcess, type ShoalProcessOptions, startChannel, watch } from '../../test/support/shoal-process.js';
import { PacedPublisher, type PublishTarget } from './paced-publisher.js';
import type { Recording } from './recording.js';
import { ReferenceServer } from './reference-server.js';

export type Row = readonly string[];
export type Settings = NonNullable<ShoalProcessOptions['settings']>;

export class BenchRun {
  readonly #name: string;
  readonly #stops: (() => void | Promise<void>)[] = [];
  readonly #lastStops: (() => void | Promise<void>)[] = [];
  readonly #isMarkdown = argv.includes('--markdown');
  readonly #loadBefore = loadavg()[0] ?? 0;

  private constructor(name: string) {
    this.#name = name;
  }

  /** Runs `body`, prints what it returns as the JSON line, and ends the process: with 1 when it failed or took longer than `limitMs`. */
  static async run(name: string, limitMs: number, body: (run: BenchRun) => Promise<object>): Promise<void> {
    const run = new BenchRun(name);
    const give = (reason: string) => (): void => void run.#abort(reason);
    const watchdog = setTimeout(give(`it took longer than ${limitMs / 1000} s`), limitMs);
    process.once('SIGINT', give('interrupted'));
    process.once('SIGTERM', give('terminated'));
    try {
      run.#heading();
      run.#json(await body(run));
    } catch (error) {
      return await run.#abort(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    clearTimeout(watchdog);
    await run.stopAll();
    exit(0);
  }

  progress(text: string): void {
    stderr.write(`${this.#name}: ${text}\n`);
  }

  onStop(stop: () => void | Promise<void>): void {
    this.#stops.push(stop);
  }

  /** Stops all that was started so far; between two scenarios, or at the end. */
  async stopAll(): Promise<void> {
    await Promise.all(this.#stops.splice(0).map((stop) => stop()));
    for (const stop of this.#lastStops.splice(0)) await stop();
  }

  /** A station with the one channel "Bench". */
  async station(settings: Settings = {}): Promise<ShoalProcess> {
    return this.keep(await startChannel('Bench', { settings }));
  }

  async viewer(link: string, settings: Settings = {}): Promise<ShoalProcess> {
    return this.keep(await watch(link, { settings }));
  }

  /** One after the other, so that they do not get in each other's way while they load. */
  async viewers(count: number, link: string, settings: Settings = {}): Promise<readonly ShoalProcess[]> {
    const viewers: ShoalProcess[] = [];
    while (viewers.length < count) viewers.push(await this.viewer(link, settings));
    return viewers;
  }

  async reference(): Promise<ReferenceServer> {
    return this.keep(await ReferenceServer.start());
  }

  async publish(recording: Recording, targets: readonly PublishTarget[]): Promise<PacedPublisher> {
    return this.keep(await PacedPublisher.start(recording, targets));
  }

  table(title: string, head: Row, rows: readonly Row[]): void {
    const all = [head, ...rows];
    const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
    const line = (row: Row): string => {
      const cells = widths.map((width, column) => (row[column] ?? '').padEnd(width));
      return this.#isMarkdown ? `| ${cells.join(' | ')} |` : cells.join('   ').trimEnd();
    };
    const rule = this.#isMarkdown ? `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|` : '-'.repeat(sumOf(widths));
    stdout.write(`\n${this.#isMarkdown ? `**${title}**\n` : title}\n${[line(head), rule, ...rows.map(line)].join('\n')}\n`);
  }

  wait(durationMs: number): Promise<void> {
    return delay(durationMs);
  }

  /** Stopped with the rest. */
  keep<Part extends { stop(): void | Promise<void> }>(part: Part): Part {
    this.onStop(() => part.stop());
    return part;
  }

  /** Stopped after all the others. */
  keepLast<Part extends { stop(): void | Promise<void> }>(part: Part): Part {
    this.#lastStops.push(() => part.stop());
    return part;
  }

  #heading(): void {
    const text = `${this.#name}, ${new Date().toISOString().slice(0, 10)}, ${machine()}, load average before ${this.#loadBefore.toFixed(2)}`;
    stdout.write(this.#isMarkdown ? `\n### ${text}\n` : `\n== ${text}\n`);
  }

  #json(figures: object): void {
    const load = { before: this.#loadBefore, after: loadavg()[0] };
    const value = { bench: this.#name, at: new Date().toISOString(), machine: machine(), load, ...figures };
    stdout.write(this.#isMarkdown ? `\n<!-- ${JSON.stringify(value)} -->\n` : `\n${JSON.stringify(value)}\n`);
  }

  async #abort(reason: string): Promise<never> {
    stderr.write(`${this.#name}: ${reason}\n`);
    await this.stopAll();
    exit(1);
  }
}

function machine(): string {
  return `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.version}`;
}

function sumOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width + 3, -3);
}
