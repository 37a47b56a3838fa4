/**
 * Who uses which path of the disk, over all open titles of the process: whoever writes has a path to itself.
 */
import type { InfoHash } from '../../kernel/units.js';
import { collision } from './disk-error.js';

/** Paths that are in use, by the titles that use them. */
const users = new Map<string, { readonly isShared: boolean; readonly titles: Set<InfoHash> }>();

export class PathClaim {
  readonly path: string;
  readonly #title: InfoHash;

  /**
   * @param isShared only reads there, and so may others that only read.
   * @throws ShoalError `TITLE_COLLISION` when another title lies there, or this one is open already.
   */
  constructor(path: string, title: InfoHash, isShared: boolean) {
    this.path = path;
    this.#title = title;
    const claim = users.get(path) ?? { isShared, titles: new Set() };
    if (claim.titles.has(title)) throw collision(path, 'this title is open already');
    if (claim.titles.size > 0 && !(claim.isShared && isShared)) throw collision(path, 'another open title lies there');
    claim.titles.add(title);
    users.set(path, claim);
  }

  get isHeld(): boolean {
    return users.get(this.path)?.titles.has(this.#title) === true;
  }

  free(): void {
    const claim = users.get(this.path);
    claim?.titles.delete(this.#title);
    if (claim?.titles.size === 0) users.delete(this.path);
  }
}
