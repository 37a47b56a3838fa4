/**
 * Client of one MMST source: the whole dialogue from Connect to media, on one TCP connection.
 *
 * Every publisher says the same, so that servers give all of them the same bytes. Source: MS-MMSP; protocols sheet 3.1 to 3.4 and 6.3,
 * rows 22 to 30.
 */
import { Malformed } from '../kernel/errors.js';
import type { Milliseconds } from '../kernel/units.js';
import { LAST_PART } from '../media/mmsh-chunk.js';
import { MmstFieldWriter, textAt, u16At, u32At } from '../media/mmst-fields.js';
import {
  encodeMmstCommand,
  FROM_CLIENT,
  MMST_PAYLOAD_BYTES_MAX,
  type MmstCommand,
  type MmstData,
  type MmstMessage,
  MmstReader,
} from '../media/mmst-message.js';
import { HeaderAssembly, type SourceHeader } from './header-assembly.js';
import {
  PROGRESS_MS,
  type SourceClient,
  type SourceClientOptions,
  type SourceEffect,
  type SourceInput,
  type SourceTimer,
  STEP_MS,
} from './source-client.js';
import { SourceReport } from './source-report.js';
import { basicCredentials, MMST_PORT, type SourceUrl } from './source-url.js';

/** What the client sends. */
const SAY = {
  connect: 0x01,
  connectFunnel: 0x02,
  openFile: 0x05,
  startPlaying: 0x07,
  readBlock: 0x15,
  funnelInfo: 0x18,
  securityResponse: 0x1a,
  pong: 0x1b,
  streamSwitch: 0x33,
} as const;

/** What the server says. */
const HEAR = {
  connected: 0x01,
  connectedFunnel: 0x02,
  refusedFunnel: 0x03,
  startedPlaying: 0x05,
  openedFile: 0x06,
  readBlock: 0x11,
  funnelInfo: 0x15,
  securityChallenge: 0x1a,
  ping: 0x1b,
  endOfStream: 0x1e,
  streamChange: 0x20,
  streamSwitch: 0x21,
  redirect: 0x22,
} as const;

const CLIENT_NAME = 'NSPlayer/7.0.0.1956';
/** The same for all publishers. */
const CLIENT_GUID = '{C77E7400-738A-11D2-9ADD-0020AF0A3278}';
const ANY_INCARNATION = 0xf0f0f0ef;
const FILE_INCARNATION = 1;
const HEADER_INCARNATION = 2;
const FIRST_MEDIA_INCARNATION = 4;
/** Incarnations of media stay below what packet pairs and stream changes use. */
const MEDIA_INCARNATIONS = 0x40;
const CHANGE_INCARNATION = 0xff;
const BROADCAST_OR_LIVE = 0x06000000;
/** Commands of a server that say nothing new: more of them in one second are a flood. */
const COMMANDS_PER_SECOND_MAX = 16;
const CHALLENGE_COUNT_MAX = 2;
const NOT_SET = 0xffffffff;

type Step = 'connect' | 'funnel-info' | 'funnel' | 'open' | 'read-block' | 'header' | 'switch' | 'start' | 'media';

/** Errors that a person understands; others are shown as numbers. */
const ERRORS: ReadonlyMap<number, string> = new Map([
  [0x80070002, 'the server has nothing at this path'],
  [0x80070005, 'the server denies access'],
  [0xc00d001a, 'the server has nothing at this path'],
]);

export class MmstClient implements SourceClient {
  readonly #url: SourceUrl;
  readonly #redirected: boolean;
  readonly #report = new SourceReport();
  readonly #reader = new MmstReader({ acceptsData: true });
  readonly #assembly = new HeaderAssembly();
  #step: Step = 'connect';
  #header: SourceHeader | undefined;
  #openFileId = 1;
  #attributes = 0;
  #headerIncarnation = HEADER_INCARNATION;
  #mediaIncarnation = FIRST_MEDIA_INCARNATION;
  #challengeCount = 0;
  #sequence = 0;
  #localName = '127.0.0.1\\TCP\\1037';
  #progressedMs: Milliseconds = 0;
  #second = -1;
  #commandsThisSecond = 0;
  #nowMs: Milliseconds = 0;

  constructor(url: SourceUrl, options: SourceClientOptions = {}) {
    this.#url = url;
    this.#redirected = options.redirected ?? false;
  }

  handle(input: SourceInput, nowMs: Milliseconds): readonly SourceEffect[] {
    this.#nowMs = nowMs;
    if (!this.#report.isOver) this.#take(input);
    return this.#report.drain();
  }

  #take(input: SourceInput): void {
    switch (input.kind) {
      case 'start':
        this.#report.connect(this.#url.host, this.#url.port ?? MMST_PORT, this.#redirected);
        return this.#report.schedule('step', STEP_MS);
      case 'opened':
        this.#localName = `${input.localHost}\\TCP\\${input.localPort}`;
        return this.#sayConnect();
      case 'bytes':
        return this.#receive(input.bytes);
      case 'closed':
        return this.#report.fail(this.#step === 'media' ? input.detail : `${input.detail} before the stream began`);
      case 'timer':
        return this.#elapsed(input.timer);
    }
  }

  #receive(bytes: Uint8Array): void {
    const fault = this.#reader.push(bytes, (message) => {
      if (!this.#report.isOver) this.#takeMessage(message);
    });
    if (fault !== undefined && !this.#report.isOver) this.#report.fail(`not MMST: ${fault.reason}`);
  }

  #takeMessage(message: MmstMessage): void {
    if (message.kind === 'data') return this.#takeData(message);
    if (this.#isFlood()) return this.#report.fail(`more than ${COMMANDS_PER_SECOND_MAX} commands in a second`);
    this.#takeCommand(message);
  }

  #isFlood(): boolean {
    const second = Math.floor(this.#nowMs / 1000);
    this.#commandsThisSecond = second === this.#second ? this.#commandsThisSecond + 1 : 1;
    this.#second = second;
    return this.#commandsThisSecond > COMMANDS_PER_SECOND_MAX;
  }

  #takeCommand({ id, fields }: MmstCommand): void {
    switch (id) {
      case HEAR.ping:
        return this.#say(SAY.pong, new MmstFieldWriter().u32(0, 0));
      case HEAR.redirect:
        return this.#report.redirect(textAt(fields, 8, u16At(fields, 6)));
      case HEAR.securityChallenge:
        return this.#takeChallenge(fields);
      case HEAR.refusedFunnel:
        return this.#report.fail('the server refuses to send over TCP');
      case HEAR.streamChange:
        return this.#takeStreamChange(fields);
      case HEAR.endOfStream:
        return this.#takeEnd(fields);
      default:
        return this.#takeAnswer(id, fields);
    }
  }

  /** An answer that belongs to the step, or one that comes at another time and means nothing. */
  #takeAnswer(id: number, fields: Uint8Array): void {
    const expected = ANSWERS[this.#step];
    if (id !== expected) return;
    const resultCode = u32At(fields, 0);
    if (resultCode !== 0) return this.#refused(resultCode);
    this.#goOn(fields);
  }

  #goOn(fields: Uint8Array): void {
    switch (this.#step) {
      case 'connect':
        return this.#enter('funnel-info', SAY.funnelInfo, new MmstFieldWriter().u32(ANY_INCARNATION, 0x0004000b));
      case 'funnel-info':
        return this.#enter(
          'funnel',
          SAY.connectFunnel,
          new MmstFieldWriter().u32(0, NOT_SET, 0, 10_000_000, 2).text(`\\\\${this.#localName}`),
        );
      case 'funnel':
        return this.#enter('open', SAY.openFile, this.#openFile());
      case 'open':
        return this.#takeOpenedFile(fields);
      case 'read-block':
        this.#step = 'header';
        return this.#report.schedule('step', STEP_MS);
      case 'switch':
        return this.#enter('start', SAY.startPlaying, this.#startPlaying());
      case 'start':
        return this.#begin();
      case 'header':
      case 'media':
        return;
    }
  }

  #takeOpenedFile(fields: Uint8Array): void {
    this.#openFileId = u32At(fields, 8);
    this.#attributes = u32At(fields, 20);
    const ask = new MmstFieldWriter().u32(this.#openFileId, 0, 0, 0x8000, NOT_SET, 0).f64(0).f64(3600).u32(this.#headerIncarnation, 0);
    this.#enter('read-block', SAY.readBlock, ask);
  }

  #begin(): void {
    this.#step = 'media';
    this.#progressedMs = this.#nowMs;
    this.#report.cancel('step');
    this.#report.schedule('progress', PROGRESS_MS);
  }

  #takeData({ locationId, incarnation, afFlags, payload }: MmstData): void {
    // Some servers leave out the report that announces the header.
    if (incarnation === this.#headerIncarnation && (this.#step === 'header' || this.#step === 'read-block'))
      return this.#takeHeaderPart(payload, afFlags);
    if (incarnation !== this.#mediaIncarnation && !this.#isChangedMedia(incarnation)) return;
    // Some servers send media right behind StartPlaying, without the report, or go on by themselves after a change.
    if (this.#step === 'start' || (this.#step === 'switch' && incarnation === CHANGE_INCARNATION)) this.#begin();
    if (this.#step !== 'media') return;
    this.#progressedMs = this.#nowMs;
    this.#report.emit({ kind: 'packet', locationId, payload, afFlags, incarnation });
  }

  /** After a stream change the specification lets the server go on under 0xFF, whatever was asked for. */
  #isChangedMedia(incarnation: number): boolean {
    return incarnation === CHANGE_INCARNATION && this.#headerIncarnation === CHANGE_INCARNATION && this.#step !== 'header';
  }

  #takeHeaderPart(payload: Uint8Array, afFlags: number): void {
    // The flags of the last of several parts are those of a whole header, so only the assembly knows which one is first.
    const header = this.#assembly.add(payload, this.#assembly.isEmpty, (afFlags & LAST_PART) !== 0);
    if (header === undefined) return;
    if (header instanceof Malformed) return this.#report.fail(header.reason);
    this.#reader.payloadBytesMax = header.media.packetBytes;
    const isOnDemand = !header.media.broadcast && (this.#attributes & BROADCAST_OR_LIVE) === 0;
    if (this.#header === undefined && isOnDemand) this.#report.onDemand('the server offers a file on demand, not a broadcast');
    this.#header = header;
    this.#report.cancel('header');
    this.#report.emit({ kind: 'header', header: header.bytes, media: header.media });
    this.#enter('switch', SAY.streamSwitch, streamSwitch(header));
  }

  #takeStreamChange(fields: Uint8Array): void {
    if (this.#header === undefined) return;
    const resultCode = u32At(fields, 0);
    if (resultCode !== 0) return this.#refused(resultCode);
    this.#headerIncarnation = CHANGE_INCARNATION;
    this.#mediaIncarnation = FIRST_MEDIA_INCARNATION + ((this.#mediaIncarnation + 1 - FIRST_MEDIA_INCARNATION) % MEDIA_INCARNATIONS);
    this.#reader.payloadBytesMax = MMST_PAYLOAD_BYTES_MAX;
    this.#assembly.clear();
    this.#step = 'header';
    this.#report.cancel('progress');
    this.#report.cancel('step');
    this.#report.emit({ kind: 'stream-change' });
    this.#report.schedule('header', STEP_MS);
  }

  #takeEnd(fields: Uint8Array): void {
    const resultCode = u32At(fields, 0);
    if (resultCode === 0) return this.#report.end('the server ended the stream');
    // 1: another item follows, announced by a stream change.
    if (resultCode !== 1) this.#refused(resultCode);
  }

  #takeChallenge(fields: Uint8Array): void {
    this.#challengeCount += 1;
    const { credentials } = this.#url;
    if (credentials === undefined)
      return this.#report.fail('the server wants a name and a password: give them in the URL as name:password@host', false);
    if (this.#challengeCount > CHALLENGE_COUNT_MAX) return this.#report.fail('the server refuses the name and password of the URL', false);
    const answer = new TextEncoder().encode(`${basicCredentials(credentials)}\0`);
    this.#say(SAY.securityResponse, new MmstFieldWriter().u32(u32At(fields, 0), u32At(fields, 4), answer.length).bytes(answer));
    this.#report.schedule('step', STEP_MS);
  }

  #refused(resultCode: number): void {
    const number = `0x${resultCode.toString(16).padStart(8, '0')}`;
    this.#report.fail(`${ERRORS.get(resultCode) ?? 'the server answers with an error'} (${number})`);
  }

  #elapsed(timer: SourceTimer): void {
    if (timer === 'step') return this.#report.fail('the server does not answer');
    if (timer === 'header') return this.#report.fail('the server announced a new header and did not send it');
    if (timer !== 'progress') return;
    const silentMs = this.#nowMs - this.#progressedMs;
    if (silentMs < PROGRESS_MS) return this.#report.schedule('progress', PROGRESS_MS - silentMs);
    this.#report.fail(`no packet came for ${PROGRESS_MS / 1000} s`);
  }

  #sayConnect(): void {
    const text = `${CLIENT_NAME}; ${CLIENT_GUID}; Host: ${this.#url.host}`;
    this.#say(SAY.connect, new MmstFieldWriter().u32(ANY_INCARNATION, 0x0004000b, 0x0003001c).text(text));
    this.#report.schedule('step', STEP_MS);
  }

  #openFile(): MmstFieldWriter {
    return new MmstFieldWriter().u32(FILE_INCARNATION, NOT_SET, 0, 0).text(this.#url.path.slice(1));
  }

  #startPlaying(): MmstFieldWriter {
    return new MmstFieldWriter().u32(this.#openFileId, 0).f64(0).u32(NOT_SET, NOT_SET, 0, this.#mediaIncarnation);
  }

  #enter(step: Step, id: number, fields: MmstFieldWriter): void {
    this.#step = step;
    this.#say(id, fields);
    this.#report.schedule('step', STEP_MS);
  }

  #say(id: number, fields: MmstFieldWriter): void {
    this.#report.send(encodeMmstCommand(id, FROM_CLIENT, fields.finish(), this.#sequence));
    this.#sequence += 1;
  }
}

/** The command that a step waits for. */
const ANSWERS: Readonly<Record<Step, number | undefined>> = {
  connect: HEAR.connected,
  'funnel-info': HEAR.funnelInfo,
  funnel: HEAR.connectedFunnel,
  open: HEAR.openedFile,
  'read-block': HEAR.readBlock,
  header: undefined,
  switch: HEAR.streamSwitch,
  start: HEAR.startedPlaying,
  media: undefined,
};

/** All streams, whole. */
function streamSwitch({ media }: SourceHeader): MmstFieldWriter {
  const fields = new MmstFieldWriter().u32(media.streams.length);
  for (const { number } of media.streams) fields.u16(0xffff, number, 0);
  return fields;
}
