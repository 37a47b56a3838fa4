/**
 * One local player over MMST: answers its dialogue, one write for each message, and nothing unasked before it plays.
 *
 * Exactly what ffmpeg, mplayer, VLC and libmms need (protocols sheet 3.3 and 3.4): openFileId 1, the playIncarnation of OpenFile echoed, header
 * packets under ReadBlock's incarnation and media under StartPlaying's, an error answer followed by a close, and no stream change ever.
 * Limits: protocols sheet 6.3, rows 1 to 21.
 */

import { copyOf } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Milliseconds } from '../../kernel/units.js';
import { parseAsfHeader } from '../../media/asf-header.js';
import { FIRST_PART, LAST_PART, MMSH_PAYLOAD_BYTES_MAX } from '../../media/mmsh-chunk.js';
import { MmstFieldWriter, textAt, u32At } from '../../media/mmst-fields.js';
import {
  AMBIGUOUS_INCARNATION,
  encodeMmstCommand,
  encodeMmstData,
  FROM_CLIENT,
  FROM_SERVER,
  type MmstCommand,
  MmstReader,
} from '../../media/mmst-message.js';
import {
  encodeMmsPacket,
  type Framing,
  findChannel,
  HEADER_POLL_MS,
  HEADER_WAIT_MS,
  type MmsChannel,
  PLAYER_STEP_MS,
  type PlayerEffect,
  type PlayerInput,
  type PlayerSession,
  type PlayerTimer,
} from './mms-player.js';
import type { MmsSessionOptions } from './mmsh-session.js';

/** What players say. */
const HEAR = {
  connect: 0x01,
  connectFunnel: 0x02,
  openFile: 0x05,
  startPlaying: 0x07,
  stopPlaying: 0x09,
  closeFile: 0x0d,
  readBlock: 0x15,
  funnelInfo: 0x18,
  securityResponse: 0x1a,
  pong: 0x1b,
  cancelReadBlock: 0x25,
  startStriding: 0x28,
  logging: 0x32,
  streamSwitch: 0x33,
} as const;

/** What the server says. */
const SAY = {
  connected: 0x01,
  connectedFunnel: 0x02,
  refusedFunnel: 0x03,
  startedPlaying: 0x05,
  openedFile: 0x06,
  startedStriding: 0x0a,
  readBlock: 0x11,
  funnelInfo: 0x15,
  ping: 0x1b,
  endOfStream: 0x1e,
  streamSwitch: 0x21,
} as const;

const ANY_INCARNATION = 0xf0f0f0ef;
const PROTOCOL_VERSION = 0x0004000b;
const PROTOCOL_REVISION = 0x0003001c;
const SERVER_VERSION = '9.01.01.3841';
/** Most players send 1 back, whatever they were told. */
const OPEN_FILE_ID = 1;
const BROADCAST = 0x02000000;
const DEFAULT_HEADER_INCARNATION = 2;
const DEFAULT_MEDIA_INCARNATION = 4;
const INCARNATION_MAX = 0xfe;

const NOT_FOUND = 0x80070002;
const NOT_READY = 0x80070015;
const INVALID_ORDER = 0x80070057;

const UNKNOWN_COUNT_MAX = 8;
const READ_BLOCK_COUNT_MAX = 4;
/** Answers before and between playing; a player that seeks like mad needs fewer. */
const COMMANDS_PER_WINDOW_MAX = 64;
const COMMAND_WINDOW_MS: Milliseconds = 10_000;
const RESTART_MS: Milliseconds = 1_000;
/** VLC gives up after 50 s without media. */
const PING_MS: Milliseconds = 25_000;
const PING_COUNT_MAX = 3;
/** A player that stopped playing may start again within this. */
const PAUSE_MS: Milliseconds = 60_000;

type Step = 'connect' | 'open' | 'ready' | 'playing' | 'over';

export class MmstSession<Channel extends MmsChannel> implements PlayerSession<Channel> {
  readonly #options: MmsSessionOptions<Channel>;
  readonly #reader = new MmstReader({ acceptsData: false });
  #step: Step = 'connect';
  #channel: Channel | undefined;
  #header: Uint8Array | undefined;
  #packetBytes = 0;
  #mediaIncarnation = DEFAULT_MEDIA_INCARNATION;
  #unknownCount = 0;
  #readBlockCount = 0;
  #windowStartMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #windowCount = 0;
  #startedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #heardMs: Milliseconds = 0;
  #pingCount = 0;
  /** An OpenFile for a channel that has no header yet, and until when it may wait. */
  #waiting: { readonly fields: Uint8Array; readonly untilMs: Milliseconds } | undefined;
  #sequence = 0;
  #nowMs: Milliseconds = 0;
  #effects: PlayerEffect<Channel>[] = [];

  constructor(options: MmsSessionOptions<Channel>) {
    this.#options = options;
  }

  get framing(): Framing | undefined {
    return this.#step === 'playing' ? `mmst:${this.#mediaIncarnation}` : undefined;
  }

  handle(input: PlayerInput, nowMs: Milliseconds): readonly PlayerEffect<Channel>[] {
    this.#nowMs = nowMs;
    if (this.#step !== 'over') this.#take(input);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  packet(locationId: number, payload: Uint8Array): Uint8Array | undefined {
    return this.framing && encodeMmsPacket(this.framing, locationId, payload);
  }

  mediaSent(nowMs: Milliseconds): void {
    this.#heardMs = nowMs;
    this.#pingCount = 0;
  }

  #take(input: PlayerInput): void {
    switch (input.kind) {
      case 'start':
        return this.#schedule('step', PLAYER_STEP_MS);
      case 'bytes':
        return this.#receive(input.bytes);
      case 'timer':
        if (input.timer === 'header') return this.#waiting && this.#openFile(this.#waiting.fields);
        return input.timer === 'ping' ? this.#ping() : this.#refuse('no next command in time');
      case 'end':
        return this.#end();
    }
  }

  #receive(bytes: Uint8Array): void {
    const fault = this.#reader.push(bytes, (message) => {
      if (this.#step !== 'over' && message.kind === 'command') this.#takeCommand(message);
    });
    if (fault !== undefined && this.#step !== 'over') this.#refuse(fault.reason);
  }

  #takeCommand({ id, direction, fields }: MmstCommand): void {
    if (direction !== FROM_CLIENT) return this.#refuse('a command of a server, from a player');
    if (id === HEAR.logging || id === HEAR.cancelReadBlock || id === HEAR.securityResponse) return;
    if (this.#isFlood()) return this.#refuse(`more than ${COMMANDS_PER_WINDOW_MAX} commands in ${COMMAND_WINDOW_MS / 1000} s`);
    switch (id) {
      case HEAR.connect:
        return this.#connected();
      case HEAR.funnelInfo:
        return this.#say(SAY.funnelInfo, new MmstFieldWriter().u32(0, ANY_INCARNATION, 8, 1, 0x10000, 1, 0, 1, 0, 0));
      case HEAR.connectFunnel:
        return this.#connectFunnel(fields);
      case HEAR.openFile:
        return this.#openFile(fields);
      case HEAR.readBlock:
        return this.#readBlock(fields);
      case HEAR.streamSwitch:
        return this.#say(SAY.streamSwitch, new MmstFieldWriter().u32(0));
      case HEAR.startPlaying:
      case HEAR.startStriding:
        return this.#startPlaying(id, fields);
      case HEAR.stopPlaying:
        return this.#stopPlaying();
      case HEAR.pong:
        this.#pingCount = 0;
        return;
      case HEAR.closeFile:
        return this.#close();
      default:
        return this.#unknown();
    }
  }

  #isFlood(): boolean {
    if (this.#nowMs - this.#windowStartMs >= COMMAND_WINDOW_MS) {
      this.#windowStartMs = this.#nowMs;
      this.#windowCount = 0;
    }
    this.#windowCount += 1;
    return this.#windowCount > COMMANDS_PER_WINDOW_MAX;
  }

  #unknown(): void {
    this.#unknownCount += 1;
    if (this.#unknownCount > UNKNOWN_COUNT_MAX) this.#refuse(`more than ${UNKNOWN_COUNT_MAX} unknown commands`);
  }

  #connected(): void {
    const answer = new MmstFieldWriter().u32(0, ANY_INCARNATION, PROTOCOL_VERSION, PROTOCOL_REVISION).f64(1);
    answer
      .u32(1, 1, 0x8000, 10_000_000)
      .u32(SERVER_VERSION.length + 1, 0, 0, 0)
      .text(SERVER_VERSION);
    this.#say(SAY.connected, answer);
    if (this.#step === 'connect') this.#enter('open');
  }

  /** The address in the text is made up by every player; nothing is ever sent to it. Only TCP is served. */
  #connectFunnel(fields: Uint8Array): void {
    const [, port = '0'] = /\\TCP\\(\d{1,5})$/i.exec(textAt(fields, 20)) ?? [];
    const isUsable = Number(port) > 0 && Number(port) <= 0xffff;
    if (!isUsable) {
      this.#say(SAY.refusedFunnel, new MmstFieldWriter().u32(INVALID_ORDER, 0));
      return this.#refuse('a player that does not want TCP');
    }
    this.#say(SAY.connectedFunnel, new MmstFieldWriter().u32(0, 0, 0).text('Funnel Of The Gods'));
  }

  #openFile(fields: Uint8Array): void {
    const playIncarnation = u32At(fields, 0);
    if (this.#step === 'connect') return this.#refuseOpen(playIncarnation, INVALID_ORDER, 'OpenFile before Connect');
    if (this.#step === 'playing') this.#pause();
    const channel = findChannel(this.#options.lookup, `/${textAt(fields, 16).replace(/^\/+/, '')}`);
    if (channel === undefined) return this.#refuseOpen(playIncarnation, NOT_FOUND, 'no such path');
    const header = channel === 'busy' ? null : channel.header();
    if (channel !== 'busy' && header === null && this.#nowMs < (this.#waiting?.untilMs ?? Number.POSITIVE_INFINITY))
      return this.#wait(fields);
    this.#waiting = undefined;
    const media = header === null ? null : parseAsfHeader(header);
    if (channel === 'busy' || header === null || media === null || media instanceof Malformed || header.length > MMSH_PAYLOAD_BYTES_MAX) {
      return this.#refuseOpen(playIncarnation, NOT_READY, 'the channel has no header to serve yet');
    }
    this.#channel = channel;
    this.#header = header;
    this.#packetBytes = media.packetBytes;
    const answer = new MmstFieldWriter().u32(0, playIncarnation, OPEN_FILE_ID, 0, 0, BROADCAST).f64(0).u32(0).zeros(16);
    this.#say(SAY.openedFile, answer.u32(media.packetBytes, 0, 0, media.maxBitrate, header.length).zeros(36));
    this.#enter('ready');
  }

  /** The answer is held back until the channel has a header, or until no player would wait any longer. */
  #wait(fields: Uint8Array): void {
    this.#waiting ??= { fields: copyOf(fields), untilMs: this.#nowMs + HEADER_WAIT_MS };
    this.#effects.push({ kind: 'cancel', timer: 'step' });
    this.#schedule('header', HEADER_POLL_MS);
  }

  #refuseOpen(playIncarnation: number, resultCode: number, detail: string): void {
    this.#say(SAY.openedFile, new MmstFieldWriter().u32(resultCode, playIncarnation, 0).zeros(96));
    this.#refuse(detail);
  }

  #readBlock(fields: Uint8Array): void {
    const header = this.#header;
    this.#readBlockCount += 1;
    if (this.#readBlockCount > READ_BLOCK_COUNT_MAX) return this.#refuse(`more than ${READ_BLOCK_COUNT_MAX} requests for the header`);
    const incarnation = usableIncarnation(u32At(fields, 40), DEFAULT_HEADER_INCARNATION);
    if (header === undefined || this.#step !== 'ready') {
      this.#say(SAY.readBlock, new MmstFieldWriter().u32(INVALID_ORDER, incarnation, 0));
      return this.#refuse('ReadBlock out of order');
    }
    this.#say(SAY.readBlock, new MmstFieldWriter().u32(0, incarnation, 0));
    const partCount = Math.ceil(header.length / this.#packetBytes);
    for (let index = 0; index < partCount; index++) {
      const part = header.subarray(index * this.#packetBytes, (index + 1) * this.#packetBytes);
      const afFlags = index < partCount - 1 ? FIRST_PART : FIRST_PART | LAST_PART;
      this.#effects.push({ kind: 'send', bytes: encodeMmstData(index, incarnation, afFlags, part) });
    }
    this.#enter('ready');
  }

  /** Wherever the player wants to begin: a live stream has one place. */
  #startPlaying(id: number, fields: Uint8Array): void {
    const channel = this.#channel;
    if (channel === undefined) {
      this.#say(SAY.startedPlaying, new MmstFieldWriter().u32(INVALID_ORDER, 0, 0));
      return this.#refuse('StartPlaying before OpenFile');
    }
    if (this.#nowMs - this.#startedMs < RESTART_MS) return;
    this.#startedMs = this.#nowMs;
    this.#heardMs = this.#nowMs;
    this.#mediaIncarnation = usableIncarnation(u32At(fields, 28), DEFAULT_MEDIA_INCARNATION);
    const strides = id === HEAR.startStriding;
    const answer = new MmstFieldWriter().u32(0, this.#mediaIncarnation);
    this.#say(strides ? SAY.startedStriding : SAY.startedPlaying, strides ? answer.u32(0) : answer.u32(OPEN_FILE_ID, 0).zeros(12));
    this.#step = 'playing';
    this.#effects.push({ kind: 'cancel', timer: 'step' });
    this.#schedule('ping', PING_MS);
    this.#emitPlay(channel);
  }

  #emitPlay(channel: Channel): void {
    const { framing } = this;
    if (framing !== undefined) this.#effects.push({ kind: 'emit', event: { kind: 'play', channel, framing } });
  }

  #stopPlaying(): void {
    if (this.#step !== 'playing') return;
    this.#pause();
    this.#say(SAY.endOfStream, new MmstFieldWriter().u32(0, this.#mediaIncarnation));
  }

  #pause(): void {
    this.#step = 'ready';
    this.#effects.push({ kind: 'cancel', timer: 'ping' }, { kind: 'emit', event: { kind: 'pause' } });
    this.#schedule('step', PAUSE_MS);
  }

  #ping(): void {
    if (this.#step !== 'playing') return;
    const silentMs = this.#nowMs - this.#heardMs;
    if (this.#pingCount === 0 && silentMs < PING_MS) return this.#schedule('ping', PING_MS - silentMs);
    if (this.#pingCount >= PING_COUNT_MAX) return this.#refuse(`the player answered none of ${PING_COUNT_MAX} pings`);
    this.#pingCount += 1;
    this.#say(SAY.ping, new MmstFieldWriter().u32(0, 0));
    this.#schedule('ping', PING_MS);
  }

  #end(): void {
    if (this.#step === 'playing') this.#say(SAY.endOfStream, new MmstFieldWriter().u32(0, this.#mediaIncarnation));
    this.#close();
  }

  #enter(step: Step): void {
    this.#step = step;
    this.#schedule('step', PLAYER_STEP_MS);
  }

  #say(id: number, fields: MmstFieldWriter): void {
    this.#effects.push({ kind: 'send', bytes: encodeMmstCommand(id, FROM_SERVER, fields.finish(), this.#sequence) });
    this.#sequence += 1;
  }

  #schedule(timer: PlayerTimer, delayMs: Milliseconds): void {
    this.#effects.push({ kind: 'schedule', timer, delayMs });
  }

  #refuse(detail: string): void {
    this.#effects.push({ kind: 'emit', event: { kind: 'refused', detail } });
    this.#close();
  }

  #close(): void {
    this.#step = 'over';
    this.#effects.push({ kind: 'cancel', timer: 'step' }, { kind: 'cancel', timer: 'ping' }, { kind: 'close' });
  }
}

/** The incarnation a player asked for, unless the wire cannot carry it or would mistake it. */
function usableIncarnation(asked: number, fallback: number): number {
  const incarnation = asked > INCARNATION_MAX ? 0 : asked;
  return incarnation === 0 || incarnation === AMBIGUOUS_INCARNATION ? fallback : incarnation;
}
