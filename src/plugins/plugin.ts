/**
 * The life of a part of the program: it starts, it stops, and whoever started it stops it.
 *
 * Plugins start in the order they are given and stop in the reverse order; when one fails to start, those before it are stopped again and
 * the failure goes to the caller. Stopping is bounded: a plugin that hangs does not keep the process.
 */
import type { Log } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';

export interface Plugin {
  readonly name: string;
  start(): Promise<void>;
  /** Frees ports, files and processes. Called once, also after a failed start of a later plugin. */
  stop(): Promise<void>;
}

/** What one plugin may take to stop, so that the whole stays within three seconds. */
const STOP_MS: Milliseconds = 2_000;

export class PluginStack {
  readonly #log: Log;
  readonly #running: Plugin[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** @throws what the plugin's `start` throws, after everything before it has been stopped. */
  async start(plugin: Plugin): Promise<void> {
    try {
      await plugin.start();
      this.#running.push(plugin);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (let plugin = this.#running.pop(); plugin; plugin = this.#running.pop()) await this.#stopOne(plugin);
  }

  async #stopOne(plugin: Plugin): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), STOP_MS);
    });
    try {
      const outcome = await Promise.race([plugin.stop(), late]);
      if (outcome === 'late') this.#log.warn(`${plugin.name} has not stopped after ${STOP_MS} ms and is left behind`);
    } catch (error) {
      this.#log.warn(`${plugin.name} failed to stop`, { error: error instanceof Error ? error.message : String(error) });
    } finally {
      clearTimeout(timer);
    }
  }
}
