/**
 * The titles of another process of this machine, by its API: a station that keeps the data folder while a command is run beside it.
 */
import { ShoalError } from '../../kernel/errors.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import type { TitleSource, TitleView } from './title-view.js';

const POLL_MS: Milliseconds = 300;
/** What was put on the shelf is seen there within seconds. */
const SHELF_MS: Milliseconds = 10_000;

export class RemoteLibrary {
  /** Address of its page. */
  readonly page: string;

  constructor(page: string) {
    this.page = page;
  }

  /** @throws ShoalError with the station's own words. */
  add(source: TitleSource): Promise<TitleView> {
    const isLink = 'link' in source;
    const body = isLink ? JSON.stringify({ link: source.link }) : Buffer.from(source.torrent);
    const type = isLink ? 'application/json' : 'application/x-bittorrent';
    return this.#view('/api/titles', { method: 'POST', headers: { 'Content-Type': type }, body });
  }

  read(id: InfoHash): Promise<TitleView> {
    return this.#view(`/api/titles/${id}`);
  }

  async find(id: InfoHash): Promise<TitleView | undefined> {
    const response = await this.#ask(`/api/titles/${id}`);
    return response.ok ? ((await response.json()) as TitleView) : undefined;
  }

  async torrent(id: InfoHash): Promise<Uint8Array | undefined> {
    const response = await this.#ask(`/api/titles/${id}/title.torrent`);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined;
  }

  /** @throws ShoalError `TITLE_UNKNOWN` when it does not come. */
  async whenThere(id: InfoHash): Promise<TitleView> {
    for (const startedMs = performance.now(); ; ) {
      const title = await this.find(id);
      if (title) return title;
      if (performance.now() - startedMs > SHELF_MS) break;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new ShoalError('TITLE_UNKNOWN', `The station at ${this.page} does not take the title; its log says why.`);
  }

  async #view(path: string, init?: RequestInit): Promise<TitleView> {
    const response = await this.#ask(path, init);
    const answer = (await response.json()) as TitleView & { readonly error?: { readonly message: string } };
    if (response.ok) return answer;
    throw new ShoalError('TITLE_UNKNOWN', answer.error?.message ?? `The station at ${this.page} answers ${response.status}.`);
  }

  async #ask(path: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await fetch(new URL(path, this.page), init);
    } catch (error) {
      throw new ShoalError('TITLE_UNKNOWN', `The station at ${this.page} does not answer.`, { page: this.page }, { cause: error });
    }
  }
}
