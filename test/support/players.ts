/** The players people use, without a screen or a loudspeaker. Each tells what it decoded, so that "it plays" is more than "it started". */
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import { CoreWait } from './core-wait.js';
import { Program, temporaryFolder } from './program.js';
import { until } from './until.js';

/** What one run of a player came to. */
export interface Played {
  /** Seconds of media decoded, by the player's own account. */
  readonly seconds: number;
  /** Complaints, empty when all was well. */
  readonly complaints: string;
}

/** Somebody without rights: VLC refuses to run as root. */
const NOBODY_ID = 65_534;
const PATIENCE_MS = 30_000;
const FRAMES_PER_SECOND = 25;
/** VLC's run time begins before it has read anything; HLS takes it some seconds. */
const VLC_START_SECONDS = 4;
// biome-ignore lint/suspicious/noTemplateCurlyInString: these are mpv's own placeholders.
const MPV_STATUS = 'at=${=estimated-frame-number}=ahead=${demuxer-cache-duration}=';
const MPV_FRAME = /at=(\d*)=ahead=([\d.]*)=/g;
/** mpv's sound is 200 ms ahead of its loudspeaker: it says this of a stream that stops, and as well when nobody lets mpv itself run for so long (measured). */
const MPV_UNDERRUN = /^Audio device underrun detected\.$/gm;
/** With so much still to play, it was not the stream. */
const MPV_AHEAD_SECONDS = 0.5;
/** It says this when sound and picture drift apart: by the stream's times, or because nobody lets one of its threads run for so long. */
const MPV_DESYNC = /^Audio\/Video desynchronisation detected![\s\S]*?\(see A-V status field\)\.$/gm;
const MPV_WAIT_MS = 500;
/** Its last picture is one of these; decoders hold back a few. */
const MPV_END_FRAMES = 6;
/** ffmpeg's HLS reader takes the initialisation part for a new one whenever it has read a live playlist again. */
const HLS_RELOADED = /^.*Found duplicated MOOV Atom\. Skipped it$/gm;
/** When it ends while a playlist or an initialisation part is on its way, it takes what has come of that for the whole (measured with a server that stops before or after the headers; up to four times in a row). */
const HLS_CUT_OFF = /\[ffmpeg\/demuxer\] hls: Failed to (?:reload playlist|open an initialization section in playlist) \d+/g;
const ERASE_LINE = '\u001b[K';
/** mplayer's status line: `A:  27.4 V:  27.4 A-V: -0.001 ct:  0.020 105/105 …`; the second figure counts decoded frames. */
const MPLAYER_FRAME = /V: *[\d.]+ .*?(\d+)\/ *\d+/g;
/** How its decoders complain; there is no status for it. */
const MPLAYER_COMPLAINT = /^.*(?:[Ee]rror|conceal|corrupt|damaged|Too many|desync).*$/gm;
/** ffplay's status line, after its clock has begun: `   4.98 A-V: -0.012 fd=   0 …`. */
const FFPLAY_CLOCK = /^ *(-?[\d.]+) (?:A-V|M-V|M-A):/gm;
const FFPLAY_STATUS = /^ *(?:nan|-?[\d.]+) (?:A-V|M-V|M-A| {3}):.*$/gm;

/** Streams as ffprobe sees them, as in `['aac 44100', 'h264 640x360']`. */
export async function probe(url: string): Promise<readonly string[]> {
  const program = new Program('ffprobe', [
    '-v',
    'error',
    '-show_entries',
    'stream=codec_name,width,height,sample_rate',
    '-of',
    'json',
    url,
  ]);
  await program.whenExited(PATIENCE_MS);
  const { streams = [] } = JSON.parse(program.output || '{}') as {
    streams?: { codec_name: string; width?: number; height?: number; sample_rate?: string }[];
  };
  return streams.map(({ codec_name: codec, width, height, sample_rate: rate }) => `${codec} ${width ? `${width}x${height}` : rate}`).sort();
}

/** Decodes with ffmpeg, video frames counted. */
export async function playWithFfmpeg(url: string, seconds: number): Promise<Played> {
  const decode = ['-v', 'error', '-nostdin', '-nostats', '-progress', 'pipe:1', '-i', url];
  // In the stream's own milliseconds. Else times are rounded to what ffmpeg guesses the frame rate to be, and it complains of two that become one.
  const words = [...decode, '-t', String(seconds), '-enc_time_base:v', '1:1000', '-f', 'null', '-'];
  const program = new Program('ffmpeg', words);
  await program.whenExited(PATIENCE_MS + seconds * 1000);
  return { seconds: Number(last(program.output, /^frame=(\d+)$/gm)) / FRAMES_PER_SECOND, complaints: program.errors };
}

/** Plays in real time with ffplay, which does not end by itself on a live stream; the time is that of its clock. */
export async function playWithFfplay(url: string, seconds: number): Promise<Played> {
  const env = { ...process.env, SDL_VIDEODRIVER: 'dummy', SDL_AUDIODRIVER: 'dummy' };
  const program = new Program('ffplay', ['-v', 'error', '-stats', url], { env });
  const clocks = (): number[] => [...program.errors.matchAll(FFPLAY_CLOCK)].map((match) => Number(match[1]));
  const played = (): number => Math.max(...clocks()) - Math.min(...clocks());
  await until('ffplay has played', () => played() >= seconds || program.exit !== undefined, PATIENCE_MS).catch(() => undefined);
  await program.stop();
  return { seconds: played(), complaints: program.errors.replace(FFPLAY_STATUS, '').trim() };
}

/** Plays in real time with mpv. */
export async function playWithMpv(url: string, seconds: number): Promise<Played> {
  const quiet = ['--no-config', '--vo=null', '--ao=null', '--msg-level=all=warn,statusline=status'];
  // What it says goes to standard output and its status to the other: in one stream it shows what was said after the last picture.
  const inOneStream = ['-c', 'exec mpv "$@" 2>&1', 'mpv'];
  const program = new Program('sh', [...inOneStream, ...quiet, `--term-status-msg=${MPV_STATUS}`, `--length=${seconds}`, url]);
  const wait = new CoreWait(program.pid);
  await program.whenExited(PATIENCE_MS + seconds * 1000).catch((error: Error) => {
    wait.stop();
    throw error;
  });
  const wasHeldUp = wait.stop() >= MPV_WAIT_MS;
  const all = (program.output + program.errors).replaceAll('\r', '').replaceAll(ERASE_LINE, '');
  const frames = Number(last(all, MPV_FRAME));
  const end = all.indexOf(`at=${frames}=`);
  // Where it stops early it was not its end.
  const text = frames < seconds * FRAMES_PER_SECOND - MPV_END_FRAMES ? all : all.slice(0, end) + all.slice(end).replace(HLS_CUT_OFF, '');
  const heard = wasHeldUp ? text.replace(MPV_DESYNC, '') : text;
  const complaints = heard.replace(MPV_FRAME, '').replace(HLS_RELOADED, '').trim();
  const aheadSeconds = Math.min(...[...text.matchAll(MPV_FRAME)].map(([, , ahead]) => Number(ahead || 0)));
  return {
    seconds: Number(last(text, MPV_FRAME)) / FRAMES_PER_SECOND,
    complaints: aheadSeconds < MPV_AHEAD_SECONDS ? complaints : complaints.replace(MPV_UNDERRUN, '').trim(),
  };
}

/** Plays in real time with mplayer. */
export async function playWithMplayer(url: string, seconds: number): Promise<Played> {
  const silent = ['-noconfig', 'all', '-nolirc', '-nocache', '-noconsolecontrols', '-vo', 'null', '-ao', 'null'];
  const program = new Program('mplayer', [...silent, '-frames', String(seconds * FRAMES_PER_SECOND), url]);
  await program.whenExited(PATIENCE_MS + seconds * 1000);
  const text = program.output + program.errors;
  const complaints = [...text.matchAll(MPLAYER_COMPLAINT)].map(([line]) => line).join('\n');
  return { seconds: Number(last(text, MPLAYER_FRAME)) / FRAMES_PER_SECOND, complaints };
}

/** Decodes with VLC and encodes again, so that its frames can be counted. */
export async function playWithVlc(url: string, seconds: number): Promise<Played> {
  const { program, file } = startVlc(['--run-time', String(seconds + VLC_START_SECONDS), '--play-and-exit'], url);
  await program.whenExited(PATIENCE_MS);
  return playedByVlc(program, file);
}

/** As `playWithVlc`, for times that do not begin at zero: VLC's own run time would be over at once. It is stopped after that long. */
export async function playLiveWithVlc(url: string, seconds: number): Promise<Played> {
  const { program, file } = startVlc([], url);
  const enough = (): boolean => performance.now() - program.startedMs > (seconds + VLC_START_SECONDS) * 1000;
  await until('VLC has played', () => enough() || program.exit !== undefined, PATIENCE_MS + seconds * 1000);
  await program.stop();
  return playedByVlc(program, file);
}

function startVlc(limit: readonly string[], url: string): { readonly program: Program; readonly file: string } {
  const folder = temporaryFolder('vlc');
  const userId = process.getuid?.() === 0 ? NOBODY_ID : undefined;
  if (userId !== undefined) chownSync(folder, userId, userId);
  const file = join(folder, 'decoded.ts');
  const out = `#transcode{vcodec=mp2v,vb=800,acodec=mpga,ab=64}:std{access=file,mux=ts,dst=${file}}`;
  const words = ['-I', 'dummy', '--no-media-library', ...limit, '--sout', out, url, 'vlc://quit'];
  const env = { ...process.env, HOME: folder };
  const user = userId === undefined ? {} : { userId };
  return { program: new Program('vlc', words, { env, cwd: folder, ...user }), file };
}

async function playedByVlc(program: Program, file: string): Promise<Played> {
  const frames = await countFrames(file);
  const complaints = frames.audio > 0 ? '' : `no sound was decoded: ${program.errors.slice(-1000)}`;
  return { seconds: frames.video / FRAMES_PER_SECOND, complaints };
}

async function countFrames(file: string): Promise<{ readonly video: number; readonly audio: number }> {
  const words = ['-v', 'quiet', '-count_frames', '-show_entries', 'stream=codec_type,nb_read_frames', '-of', 'json', file];
  const program = new Program('ffprobe', words);
  await program.whenExited(PATIENCE_MS);
  const { streams = [] } = JSON.parse(program.output || '{}') as { streams?: { codec_type: string; nb_read_frames?: string }[] };
  const count = (type: string): number => Number(streams.find(({ codec_type: found }) => found === type)?.nb_read_frames ?? 0);
  return { video: count('video'), audio: count('audio') };
}

function last(text: string, pattern: RegExp): string {
  return [...text.matchAll(pattern)].at(-1)?.[1] ?? '0';
}
