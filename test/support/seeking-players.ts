/**
 * The players people use, held by their remote controls: each opens an address, tells when its first picture is there, and jumps when told to.
 *
 * mpv by its JSON socket, VLC by its remote control (as somebody without rights: it refuses root), ffprobe by intervals to decode one after the
 * other, Chromium by its video element. None needs a screen or a loudspeaker.
 */
import { chownSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { openBrowser, type TestBrowser } from './browser.js';
import type { CheckingProxy } from './checking-proxy.js';
import { freePort } from './free-port.js';
import { Program, temporaryFolder } from './program.js';
import { until } from './until.js';

export type SeekingPlayerName = 'mpv' | 'vlc' | 'ffprobe' | 'chromium';

/** One jump, or the start. */
export interface Shown {
  readonly targetS: number;
  /** From the command to the first picture of the new place. */
  readonly pictureMs: number;
  /** Where it played some time later; NaN for a player that does not play on. */
  readonly playedToS: number;
}

export interface SeekingPlayer {
  readonly name: SeekingPlayerName;
  /** Opens the film, plays `playS` seconds, then does the same at each place. Rejects when a place does not play. */
  run(proxy: CheckingProxy, placesS: readonly number[], playS: number): Promise<readonly Shown[]>;
}

const NOBODY_ID = 65_534;
/** A player that shows nothing for so long does not play. */
const PATIENCE_MS = 20_000;
const START_MS = 30_000;

const MPV_WORDS = ['--no-config', '--vo=null', '--ao=null', '--msg-level=all=warn'];
/** It begins with nothing in hand after a seek; on a line as thin as this its sound may wait once more. */
const MPV_UNDERRUN = /^Audio device underrun detected\.$/gm;
const VLC_WORDS = ['-I', 'dummy', '--extraintf', 'oldrc', '--rc-fake-tty', '--no-media-library', '--vout', 'dummy', '--aout', 'dummy'];
/** VLC counts its pictures four times a second; the last ones of the old place may still be on their way. */
const VLC_PICTURES = 3;
const VIDEO = 'document.getElementsByTagName("video")[0]';

export const SEEKING_PLAYERS: readonly SeekingPlayer[] = [
  { name: 'mpv', run: runMpv },
  { name: 'vlc', run: runVlc },
  { name: 'ffprobe', run: runFfprobe },
  { name: 'chromium', run: runChromium },
];

interface MpvEvent {
  readonly event?: string;
  readonly name?: string;
  readonly data?: unknown;
}

async function runMpv(proxy: CheckingProxy, placesS: readonly number[], playS: number): Promise<readonly Shown[]> {
  const path = join(temporaryFolder('mpv'), 'socket');
  const beganMs = performance.now();
  const program = new Program('mpv', [...MPV_WORDS, `--input-ipc-server=${path}`, proxy.url]);
  const control = await connected(() => connect(path));
  let restarts = 0;
  let atS = Number.NaN;
  onLines(control, (line) => {
    const { event, name, data } = JSON.parse(line) as MpvEvent;
    if (event === 'playback-restart') restarts += 1;
    if (name === 'time-pos' && typeof data === 'number') atS = data;
  });
  const say = (...command: readonly unknown[]): void => void control.write(`${JSON.stringify({ command })}\n`);
  say('observe_property', 1, 'time-pos');
  const shown: Shown[] = [];
  let said = '';
  try {
    for (const targetS of [0, ...placesS]) {
      const sinceMs = shown.length === 0 ? beganMs : performance.now();
      const before = restarts;
      if (shown.length > 0) {
        atS = Number.NaN;
        say('seek', targetS, 'absolute+exact');
      }
      await until(`mpv shows a picture at ${targetS} s`, () => restarts > before || program.exit !== undefined, PATIENCE_MS);
      const pictureMs = performance.now() - sinceMs;
      await until(
        `mpv plays on from ${targetS} s: ${program.errors}`,
        () => atS >= targetS + playS || program.exit !== undefined,
        START_MS,
      );
      shown.push({ targetS, pictureMs, playedToS: atS });
    }
    // To end it cuts off what it is reading, and complains of that.
    said = program.output + program.errors;
    say('quit');
    await program.whenExited(PATIENCE_MS);
  } finally {
    control.destroy();
    await program.stop();
  }
  return complained('mpv', said.replace(MPV_UNDERRUN, ''), shown);
}

async function runVlc(proxy: CheckingProxy, placesS: readonly number[], playS: number): Promise<readonly Shown[]> {
  const folder = temporaryFolder('vlc');
  const userId = process.getuid?.() === 0 ? NOBODY_ID : undefined;
  if (userId !== undefined) chownSync(folder, userId, userId);
  const port = await freePort();
  const beganMs = performance.now();
  const program = new Program('vlc', [...VLC_WORDS, '--rc-host', `127.0.0.1:${port}`, proxy.url], {
    env: { ...process.env, HOME: folder },
    cwd: folder,
    ...(userId === undefined ? {} : { userId }),
  });
  const control = new VlcControl(await connected(() => connect(port, '127.0.0.1')));
  const shown: Shown[] = [];
  try {
    for (const targetS of [0, ...placesS]) {
      const sinceMs = shown.length === 0 ? beganMs : performance.now();
      if (shown.length > 0) await control.ask(`seek ${targetS}`);
      const before = shown.length === 0 ? 0 : await control.pictures();
      await eventually(`VLC shows pictures at ${targetS} s`, async () => (await control.pictures()) >= before + VLC_PICTURES);
      const pictureMs = performance.now() - sinceMs;
      await eventually(`VLC plays on from ${targetS} s`, async () => (await control.timeS()) >= targetS + playS);
      shown.push({ targetS, pictureMs, playedToS: await control.timeS() });
    }
  } finally {
    control.close();
    await program.stop();
  }
  return shown;
}

/** The remote control answers in lines, and says what it likes in between. */
class VlcControl {
  readonly #socket: Socket;
  #text = '';

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#text += bytes.toString();
    });
  }

  /** The answer, up to where the next command can be given. */
  async ask(command: string): Promise<string> {
    this.#text = '';
    // A command of no effect, whose answer marks the end of the one before.
    this.#socket.write(`${command}\ninfo-end-mark\n`);
    await until(`VLC answers ${command}`, () => this.#text.includes('info-end-mark'), PATIENCE_MS);
    return this.#text;
  }

  async pictures(): Promise<number> {
    return Number(/frames displayed : *(\d+)/.exec(await this.ask('stats'))?.[1] ?? 0);
  }

  async timeS(): Promise<number> {
    return Number(/^(\d+)\r?$/m.exec(await this.ask('get_time'))?.[1] ?? Number.NaN);
  }

  close(): void {
    this.#socket.end('shutdown\n');
    this.#socket.destroySoon();
  }
}

/** Every place in one run: pictures are decoded from the key frame before it to `playS` seconds behind it. */
async function runFfprobe(proxy: CheckingProxy, placesS: readonly number[], playS: number): Promise<readonly Shown[]> {
  const all = [0, ...placesS];
  const intervals = all.map((targetS) => `${targetS}%${targetS + playS}`).join(',');
  const words = [
    '-v',
    'error',
    '-select_streams',
    'v:0',
    '-read_intervals',
    intervals,
    '-show_entries',
    'frame=pts_time',
    '-of',
    'csv=p=0',
  ];
  const shown: Shown[] = [];
  let sinceMs = performance.now();
  let pictureMs = Number.NaN;
  let atS = Number.NaN;
  const next = (): void => {
    shown.push({ targetS: all[shown.length] as number, pictureMs, playedToS: atS });
  };
  let rest = '';
  const take = (chunk: Buffer): void => {
    const nowMs = performance.now();
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const timeS = Number.parseFloat(line);
      if (Number.isNaN(timeS)) continue;
      // A new place: it begins with the key frame before it, so it never follows on.
      if (Number.isNaN(atS) || Math.abs(timeS - atS) > 1) {
        if (!Number.isNaN(atS)) next();
        pictureMs = nowMs - sinceMs;
      }
      atS = timeS;
      sinceMs = nowMs;
    }
  };
  // Line by line, or it would tell of a picture when the next thousand are there.
  const program = new Program('stdbuf', ['-oL', 'ffprobe', ...words, proxy.url], { onOutput: take, keepOutput: false });
  const { code } = await program.whenExited(START_MS + all.length * PATIENCE_MS);
  next();
  if (code !== 0 || shown.length !== all.length) throw new Error(`ffprobe read ${shown.length} of ${all.length} places: ${program.errors}`);
  return complained('ffprobe', program.errors, shown);
}

async function runChromium(proxy: CheckingProxy, placesS: readonly number[], playS: number): Promise<readonly Shown[]> {
  const browser: TestBrowser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    await page.goto(proxy.page);
    const shown: Shown[] = [];
    for (const targetS of [0, ...placesS]) {
      const command = shown.length === 0 ? `video.src = '${proxy.url}'; video.play()` : `video.currentTime = ${targetS}`;
      const pictureMs = (await page.evaluate(untilPicture(command, targetS))) as number;
      if (!Number.isFinite(pictureMs)) throw new Error(`Chromium shows nothing at ${targetS} s: ${await errorOf(page)}`);
      const playedToS = (await page.evaluate(untilPlayed(targetS + playS))) as number;
      if (!(playedToS >= targetS + playS)) throw new Error(`Chromium does not play on from ${targetS} s, only to ${playedToS} s`);
      shown.push({ targetS, pictureMs, playedToS });
    }
    return shown;
  } finally {
    await browser.close();
  }
}

/** Milliseconds until the picture of a place is shown; NaN when it never is. */
function untilPicture(command: string, targetS: number): string {
  return `new Promise((resolve) => {
    const video = ${VIDEO};
    const beganMs = performance.now();
    const look = (nowMs, { mediaTime }) => {
      if (!video.seeking && Math.abs(mediaTime - ${targetS}) < 1) resolve(performance.now() - beganMs);
      else video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    setTimeout(() => resolve(NaN), ${PATIENCE_MS});
    ${command};
  })`;
}

function untilPlayed(toS: number): string {
  return `new Promise((resolve) => {
    const video = ${VIDEO};
    const timer = setInterval(() => { if (video.currentTime >= ${toS}) end(); }, 20);
    const end = () => { clearInterval(timer); resolve(video.currentTime); };
    setTimeout(end, ${PATIENCE_MS});
  })`;
}

async function errorOf(page: Page): Promise<string> {
  return String(await page.evaluate(`${VIDEO}.error?.message ?? 'no error'`));
}

/** Programs take a moment to listen. */
async function connected(dial: () => Socket): Promise<Socket> {
  for (const endMs = performance.now() + START_MS; ; ) {
    const socket = dial();
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    // From here on its end says enough.
    socket.on('error', () => undefined);
    if (isOpen) return socket;
    if (performance.now() > endMs) throw new Error('a player does not open its remote control');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + START_MS; !(await condition()); ) {
    if (performance.now() > endMs) throw new Error(`Waited ${START_MS} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function onLines(socket: Socket, onLine: (line: string) => void): void {
  let rest = '';
  socket.on('data', (bytes) => {
    const lines = (rest + bytes.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.filter((text) => text !== '')) onLine(line);
  });
}

function complained(name: string, text: string, shown: readonly Shown[]): readonly Shown[] {
  if (text.trim() !== '') throw new Error(`${name} complains: ${text.trim().slice(-1000)}`);
  return shown;
}
