/**
 * Plays one channel in a video element: FLV over WebSocket or HTTP with mpegts.js, HLS with hls.js or the browser's own player.
 *
 * It never gives up: what fails is tried again, a little later each time, with another transport. `onState` hears
 * `connecting`, `waiting` (nobody publishes), `playing`, `stalled` and `unplayable`, each time it changes.
 */

const RETRY_FIRST_MS = 1000;
const RETRY_LAST_MS = 10_000;
const WATCH_EVERY_MS = 1000;
/** A picture that stands still for this long has stalled; twice as long, and the connection is made anew. */
const STALLED_MS = 4000;
/** The picture starts with this much in hand, so that it does not stop between the first windows; or a second after the first data. */
const AHEAD_SECONDS = 0.8;
const AHEAD_PATIENCE_MS = 1000;
const AHEAD_CHECK_MS = 50;

/** Types that a browser must know before the FLV player can show the track; an MSE type per short codec name of the API. */
const MEDIA_TYPES = {
  avc1: 'video/mp4; codecs="avc1.4d401f"',
  hvc1: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  av01: 'video/mp4; codecs="av01.0.05M.08"',
  mp4a: 'audio/mp4; codecs="mp4a.40.2"',
  '.mp3': 'audio/mpeg',
  Opus: 'audio/mp4; codecs="opus"',
};

/**
 * Windows come in bursts of about a second, so the player keeps a little more than one of them. It catches up by playing a trifle
 * faster; only after a long stop it jumps.
 */
const FLV_CONFIG = {
  enableWorker: false,
  enableStashBuffer: false,
  lazyLoad: false,
  autoCleanupSourceBuffer: true,
  liveSync: true,
  liveBufferLatencyChasing: true,
};

/** How mpegts.js keeps the reserve that the viewing mode asks for. */
function flvPacing({ targetMs, maxMs, rateMax, jumpMs }) {
  return {
    liveSyncTargetLatency: targetMs / 1000,
    liveSyncMaxLatency: maxMs / 1000,
    liveSyncPlaybackRate: rateMax,
    liveBufferLatencyMaxLatency: jumpMs / 1000,
    liveBufferLatencyMinRemain: targetMs / 1000,
  };
}

/** hls.js counts from the end of the playlist, which has segments of a second and more: a second of distance goes with any reserve. */
function hlsPacing({ targetMs, rateMax, jumpMs }) {
  return {
    liveSyncDuration: 1 + targetMs / 1000,
    liveMaxLatencyDuration: 2 + jumpMs / 1000,
    maxLiveSyncPlaybackRate: rateMax,
    enableWorker: true,
  };
}

const scripts = new Map();

/** Loads a classic script once; both libraries are large, and a page needs one of them. */
export function loadScript(path) {
  if (!scripts.has(path)) {
    const loading = new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = path;
      script.onload = resolve;
      script.onerror = () => {
        scripts.delete(path);
        reject(new Error(`${path} did not load`));
      };
      document.head.append(script);
    });
    scripts.set(path, loading);
  }
  return scripts.get(path);
}

function browserTakes(codec) {
  const type = MEDIA_TYPES[codec];
  return codec === null || (type !== undefined && 'MediaSource' in window && MediaSource.isTypeSupported(type));
}

/** Whether the FLV player can show these tracks in this browser. */
export function canPlayFlv(tracks) {
  return 'MediaSource' in window && browserTakes(tracks.videoCodec) && browserTakes(tracks.audioCodec);
}

export class Player {
  #video;
  #onState;
  #channel = null;
  #kind = 'flv';
  #state = '';
  #engine = null;
  #attempt = 0;
  #generation = 0;
  #retryTimer;
  #lastTime = 0;
  #movedAtMs = 0;

  constructor(video, onState) {
    this.#video = video;
    this.#onState = onState;
    setInterval(() => this.#watch(), WATCH_EVERY_MS);
  }

  /** Shows `channel` (as the API gives it) by `kind`, `flv` or `hls`. */
  open(channel, kind) {
    this.#channel = channel;
    this.#kind = kind;
    this.#attempt = 0;
    this.#start();
  }

  /** Takes the newest view of the same channel; a publisher that comes ends the wait. */
  update(channel) {
    const came = !this.#channel?.status.live && channel.status.live;
    this.#channel = channel;
    if (came && this.#state === 'waiting') this.#start();
  }

  close() {
    this.#generation += 1;
    clearTimeout(this.#retryTimer);
    this.#engine?.destroy();
    this.#engine = null;
    this.#channel = null;
  }

  async #start() {
    const channel = this.#channel;
    this.#generation += 1;
    const generation = this.#generation;
    clearTimeout(this.#retryTimer);
    this.#engine?.destroy();
    this.#engine = null;
    this.#say(channel.status.live ? 'connecting' : 'waiting');
    this.#movedAtMs = performance.now();
    this.#lastTime = 0;
    const fail = (unplayable) => generation === this.#generation && this.#fail(unplayable);
    try {
      const engine =
        this.#kind === 'hls' ? await openHls(this.#video, channel, fail) : await openFlv(this.#video, channel, this.#attempt, fail);
      if (generation !== this.#generation) engine.destroy();
      else this.#engine = engine;
    } catch {
      fail(false);
    }
    this.#playWhenAhead(generation, null);
  }

  #playWhenAhead(generation, firstDataMs) {
    if (generation !== this.#generation || this.#engine === null) return;
    const { buffered } = this.#video;
    const nowMs = performance.now();
    const ahead = buffered.length === 0 ? 0 : buffered.end(buffered.length - 1) - Math.max(this.#video.currentTime, buffered.start(0));
    const since = firstDataMs ?? (ahead > 0 ? nowMs : null);
    if (ahead < AHEAD_SECONDS && (since === null || nowMs - since < AHEAD_PATIENCE_MS)) {
      setTimeout(() => this.#playWhenAhead(generation, since), AHEAD_CHECK_MS);
      return;
    }
    // Autoplay with sound is refused by browsers; muted it is not. A refusal leaves the controls for the viewer.
    this.#video.play().catch(() => undefined);
  }

  #fail(unplayable) {
    this.#engine?.destroy();
    this.#engine = null;
    if (unplayable) {
      this.#say('unplayable');
      return;
    }
    this.#attempt += 1;
    this.#say(this.#channel.status.live ? 'connecting' : 'waiting');
    const delayMs = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempt - 1, 6));
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#start(), delayMs);
  }

  #watch() {
    if (this.#engine === null) return;
    const nowMs = performance.now();
    const moved = this.#video.currentTime !== this.#lastTime;
    this.#lastTime = this.#video.currentTime;
    if (moved && this.#video.readyState >= 2) {
      this.#movedAtMs = nowMs;
      this.#attempt = 0;
      this.#say('playing');
      return;
    }
    const pausedByViewer = this.#video.paused && this.#state === 'playing' && this.#video.readyState >= 2;
    const stillMs = nowMs - this.#movedAtMs;
    if (pausedByViewer || stillMs < STALLED_MS) return;
    if (!this.#channel.status.live) this.#say('waiting');
    else if (this.#state === 'playing' || this.#state === 'stalled') this.#say('stalled');
    // A connection that waits for a publisher is told so by the server; one that has gone silent is not.
    if (this.#state === 'stalled' && stillMs > 2 * STALLED_MS) this.#fail(false);
  }

  #say(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }
}

async function openFlv(video, channel, attempt, fail) {
  await loadScript('/vendor/mpegts.js');
  const { mpegts } = window;
  mpegts.LoggingControl.enableAll = false;
  if (!mpegts.getFeatureList().mseLivePlayback) {
    fail(true);
    return { destroy() {} };
  }
  // A proxy may not let WebSockets through, so every second attempt goes over plain HTTP.
  const scheme = attempt % 2 === 0 ? location.protocol.replace('http', 'ws') : location.protocol;
  const url = `${scheme}//${location.host}/live/${channel.slug}.flv`;
  const player = mpegts.createPlayer(
    { type: 'flv', isLive: true, url, cors: true },
    { ...FLV_CONFIG, ...flvPacing(channel.status.pacing) },
  );
  player.on(mpegts.Events.ERROR, (type, detail) => {
    const codecRefused = type === mpegts.ErrorTypes.MEDIA_ERROR && detail !== mpegts.ErrorDetails.MEDIA_FORMAT_ERROR;
    fail(codecRefused && detail === mpegts.ErrorDetails.MEDIA_CODEC_UNSUPPORTED);
  });
  player.on(mpegts.Events.LOADING_COMPLETE, () => fail(false));
  player.attachMediaElement(video);
  player.load();
  return { destroy: () => player.destroy() };
}

async function openHls(video, channel, fail) {
  const url = `/live/${channel.slug}/index.m3u8`;
  await loadScript('/vendor/hls.js');
  const { Hls } = window;
  if (!Hls.isSupported()) return openNativeHls(video, url, fail);
  const player = new Hls(hlsPacing(channel.status.pacing));
  player.on(Hls.Events.ERROR, (_event, data) => {
    if (data.fatal) fail(data.response?.code === 415 || data.details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR);
  });
  player.loadSource(url);
  player.attachMedia(video);
  return { destroy: () => player.destroy() };
}

function openNativeHls(video, url, fail) {
  if (video.canPlayType('application/vnd.apple.mpegurl') === '') {
    fail(true);
    return { destroy() {} };
  }
  const onError = () => fail(false);
  video.addEventListener('error', onError);
  video.src = url;
  return {
    destroy() {
      video.removeEventListener('error', onError);
      video.removeAttribute('src');
      video.load();
    },
  };
}
