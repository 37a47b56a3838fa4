/**
 * The titles of one process as a plugin: library, playback endpoint, pictures and super node, mounted on the web server.
 *
 * The API that the page asks is mounted by the portal, which is told of the library.
 */
import { createHmac } from 'node:crypto';
import { systemClock } from '../../io/system-clock.js';
import type { HttpServer } from '../../io/web/http-server.js';
import type { InfoHash } from '../../kernel/units.js';
import type { Plugin } from '../plugin.js';
import { FrameGrabs } from './frame-grabs.js';
import { mountPlayback, type Playback } from './playback.js';
import { SuperNode, type SuperNodeOptions } from './super-node.js';
import { TitleLibrary } from './title-library.js';
import { TitleViews } from './title-views.js';
import { torrentFileName } from './title-words.js';
import type { TitlesContext } from './titles-context.js';

export interface TitlesOptions {
  readonly context: TitlesContext;
  readonly server: HttpServer;
  /** Secret bytes of this data folder; playback tokens are made from them. */
  readonly secret: Uint8Array;
}

export class Titles implements Plugin {
  readonly name = 'titles';
  readonly library: TitleLibrary;
  readonly #options: TitlesOptions;
  readonly #views: TitleViews;
  readonly playback: Playback;
  readonly #pictures: FrameGrabs;
  readonly #superNodes: SuperNode[] = [];
  #sampler: NodeJS.Timeout | undefined;

  constructor(options: TitlesOptions) {
    this.#options = options;
    const { context, server, secret } = options;
    const { log } = context;
    this.#views = new TitleViews(() => ({
      addressesOf: (title, file) => this.playback.addressesOf(title, file),
      playlistOf: (title) => this.playback.playlistOf(title),
      picture: (id) => this.#pictures.picture(id),
      pictureMark: (id) => this.#pictures.markOf(id),
      forget: (id) => this.#pictures.forget(id),
    }));
    this.library = new TitleLibrary(context, this.#views);
    this.playback = mountPlayback(server, this.library.playable, {
      key: createHmac('sha256', secret).update('playback').digest(),
      log,
      conversionsMax: context.config.titles.conversionsMax,
    });
    const pathOf = (id: InfoHash, name: string): string => context.shelf.pathOf(id, name);
    this.#pictures = new FrameGrabs({ files: this.playback.lentFiles, log, pathOf });
  }

  async start(): Promise<void> {
    const { context } = this.#options;
    this.library.start();
    this.#sampler = setInterval(() => this.#everySecond(), 1_000);
    const { watchFolder, publicHttp } = context.config.titles;
    if (watchFolder !== '') this.watch(watchFolder, publicHttp);
  }

  /** Where other machines fetch files by HTTP; null when they cannot. */
  get seedBase(): string | null {
    return this.#options.context.seedBase;
  }

  /** Where its `.torrent` file lies for people to take. */
  torrentPath(id: InfoHash): string {
    const { shelf } = this.#options.context;
    return shelf.sharedPath(id, torrentFileName(this.library.title(id)?.name ?? id));
  }

  /** Publishes whatever lies in a folder, for as long as it lies there. */
  watch(folder: string, publicSeed: boolean, options: Partial<SuperNodeOptions> = {}): void {
    const { log } = this.#options.context;
    const superNode = new SuperNode({ folder, library: this.library, log, publicSeed, ...options });
    this.#superNodes.push(superNode);
    superNode.start();
  }

  async stop(): Promise<void> {
    clearInterval(this.#sampler);
    this.#pictures.stop();
    await Promise.all([...this.#superNodes.map((superNode) => superNode.stop()), this.playback.stop()]);
    await this.library.stop();
    await this.#options.context.finding.stop();
  }

  #everySecond(): void {
    const titles = this.library.all;
    this.#views.sample(titles, systemClock.nowMs());
    this.#pictures.consider(titles);
  }
}
