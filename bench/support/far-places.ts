/**
 * Places that are far from each other, on this machine: whoever is at one is reached through a proxy that holds every byte back for a while, both ways. Needs no root: all of
 * 127.0.0.0/8 is this machine's. Linux only.
 *
 * Connections are as slow as the place that is called, not as both together; nothing but time is taken from them. All of it is gone after `stop`.
 */
import type { Settings } from './bench-run.js';
import { ShapedLink } from './shaped-link.js';

/** Where others call, and what a tracker sees. The process itself listens at the same port of another address. */
const OUTSIDE = '127.0.0.1';
const INSIDE = '127.78.2';
const FIRST_HOST = 10;

export class FarPlaces {
  readonly #links: ShapedLink[] = [];

  /** Settings of a process that is there. `delayMs`: one way. */
  async add(delayMs: number): Promise<Settings> {
    const inside = `${INSIDE}.${FIRST_HOST + this.#links.length}`;
    const link = await ShapedLink.start({ host: OUTSIDE, targetHost: inside, delayMs });
    this.#links.push(link);
    return { 'swarm.host': inside, 'swarm.publicHost': OUTSIDE, 'swarm.port': link.port };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#links.splice(0).map((link) => link.stop()));
  }
}
