/**
 * Plays one file of a title in a video element: the file itself, or the HLS of its conversion through hls.js or the browser's own player.
 *
 * A file that is still on its way stops where it is not here yet, and goes on by itself.
 */
import { loadScript } from '/player.js';
import { nameOf, subtitlesOf } from '/title-words.js';

const RECOVERIES_MAX = 5;

/** Sounds that browsers may not know, by their names in `media.json`. */
const SOUND_TYPES = {
  ac3: 'audio/mp4; codecs="ac-3"',
  eac3: 'audio/mp4; codecs="ec-3"',
  dts: 'audio/mp4; codecs="dtsc"',
  truehd: 'audio/mp4; codecs="mlpa"',
  alac: 'audio/mp4; codecs="alac"',
};

const STATES = {
  preparing: ['Preparing', 'The first picture comes in a moment.'],
  paused: ['The title is paused', 'This part is not here yet. Press Resume, and it comes.'],
  waiting: ['Waiting for the swarm', 'It goes on by itself as soon as this part is here.'],
  unplayable: ['This browser cannot play this file', 'Open it in VLC or mpv with an address below.'],
  failed: ['The file does not come', 'Shoal could not send it. Try again, or look at what its log says.'],
};

export class TitlePlayer {
  #video;
  #box;
  #subtitles;
  #onEnded;
  #engine = null;
  #generation = 0;
  #file = null;
  #isComing = true;

  /** @param box element with `.state-title` and `.state-detail`; `subtitles` shows the choice; `onEnded(file)` when it has played to its end. */
  constructor(video, box, subtitles, onEnded) {
    this.#video = video;
    this.#box = box;
    this.#subtitles = subtitles;
    this.#onEnded = onEnded;
    video.addEventListener('playing', () => this.#say(null));
    video.addEventListener('canplay', () => this.#say(null));
    video.addEventListener('waiting', () => this.#file !== null && this.#say(video.currentTime === 0 ? 'preparing' : 'waiting'));
    video.addEventListener('ended', () => this.#file !== null && this.#onEnded(this.#file));
  }

  /** The file that is open; null when none is. */
  get file() {
    return this.#file;
  }

  async open(file, { files, picture }) {
    this.close();
    this.#file = file;
    const generation = this.#generation;
    this.#say('preparing');
    this.#video.setAttribute('aria-label', nameOf(file.path, 'Unnamed file'));
    if (picture !== null) this.#video.poster = picture;
    this.#subtitles.show(subtitlesOf(files, file));
    if (file.browser === file.converted) await this.#openHls(file, generation);
    else this.#openFile(file, generation);
    if (generation === this.#generation) this.#video.play().catch(() => undefined);
  }

  /** Whether what is not here yet is on its way: it is not while the title is paused. */
  setComing(isComing) {
    if (isComing === this.#isComing) return;
    this.#isComing = isComing;
    const { state } = this.#video.dataset;
    if (state === 'paused' || state === 'preparing' || state === 'waiting') this.#say(isComing ? 'waiting' : 'paused');
  }

  close() {
    this.#generation += 1;
    this.#file = null;
    this.#engine?.destroy();
    this.#engine = null;
    this.#video.onerror = null;
    this.#subtitles.show([]);
    this.#video.removeAttribute('poster');
    if (this.#video.hasAttribute('src')) {
      this.#video.removeAttribute('src');
      // Without this the browser goes on fetching.
      this.#video.load();
    }
    this.#say(null);
  }

  #openFile(file, generation) {
    this.#video.onerror = () => {
      if (generation !== this.#generation) return;
      if (this.#video.error?.code === MediaError.MEDIA_ERR_NETWORK) this.#fail('failed');
      else this.#convert(file, generation);
    };
    this.#video.src = file.browser;
    this.#convertIfMute(file, generation);
  }

  /** A browser plays a film whose sound it does not know without a word and without a sound; the server knows what is in it. */
  async #convertIfMute(file, generation) {
    if (file.converted === null) return;
    await new Promise((resolve) => this.#video.addEventListener('playing', resolve, { once: true }));
    if (generation !== this.#generation) return;
    const answer = await fetch(file.converted.replace('/hls/index.m3u8', '/media.json')).catch(() => undefined);
    const media = answer?.ok ? await answer.json().catch(() => undefined) : undefined;
    if (generation === this.#generation && media?.isDirect === false && this.#lacks(media)) await this.#convert(file, generation);
  }

  #lacks({ video, audioCodec }) {
    const type = SOUND_TYPES[audioCodec];
    return (video != null && this.#video.videoWidth === 0) || (type !== undefined && this.#video.canPlayType(type) === '');
  }

  /** Goes on with the conversion where the file itself could not be played. */
  async #convert(file, generation) {
    if (file.converted === null) return this.#fail('unplayable');
    const atS = this.#video.currentTime;
    this.#video.onerror = null;
    this.#say('preparing');
    await this.#openHls(file, generation, atS);
    if (generation === this.#generation) this.#video.play().catch(() => undefined);
  }

  async #openHls({ converted: source }, generation, atS = 0) {
    const fail = (state, words) => generation === this.#generation && this.#fail(state, words);
    await loadScript('/vendor/hls.js').catch(() => undefined);
    if (generation !== this.#generation) return;
    const { Hls } = window;
    if (!Hls?.isSupported()) {
      this.#video.onerror = () => fail('unplayable');
      this.#video.src = source;
      return;
    }
    const engine = new Hls({ enableWorker: true, maxBufferLength: 30, startPosition: atS });
    this.#engine = engine;
    let recoveries = 0;
    engine.on(Hls.Events.ERROR, async (_event, { fatal, type, details, response, url }) => {
      if (!fatal) return;
      recoveries += 1;
      // What cannot be looked at now cannot be looked at in a second either.
      const isFinal = [415, 503].includes(response?.code) || (details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR && response?.code === 500);
      if (isFinal || recoveries > RECOVERIES_MAX)
        fail(type === Hls.ErrorTypes.MEDIA_ERROR || response?.code === 415 ? 'unplayable' : 'failed', isFinal ? await wordsAt(url) : '');
      else if (type === Hls.ErrorTypes.MEDIA_ERROR) engine.recoverMediaError();
      else setTimeout(() => generation === this.#generation && engine.loadSource(source), 500 * 2 ** recoveries);
    });
    engine.loadSource(source);
    engine.attachMedia(this.#video);
  }

  /** @param words of the server, which knows better than we do. */
  #fail(state, words = '') {
    this.#engine?.destroy();
    this.#engine = null;
    this.#say(state);
    if (words !== '') this.#box.querySelector('.state-detail').textContent = words;
  }

  #say(wanted) {
    const isWaiting = wanted === 'preparing' || wanted === 'waiting';
    const state = isWaiting && !this.#isComing ? 'paused' : wanted;
    const text = STATES[state];
    this.#video.dataset.state = state ?? 'ready';
    this.#box.hidden = text === undefined;
    this.#box.classList.toggle('busy', state === 'preparing' || state === 'waiting');
    if (text === undefined) return;
    this.#box.querySelector('.state-title').textContent = text[0];
    this.#box.querySelector('.state-detail').textContent = text[1];
  }
}

/** What the server says of an address that it answers with a fault; empty when it says nothing. */
async function wordsAt(address) {
  try {
    return nameOf(await (await fetch(address)).text(), '', 400);
  } catch {
    return '';
  }
}
