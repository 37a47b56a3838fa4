/**
 * What a person is told: where to watch, how to publish, the link, and how it goes. Plain text for a terminal.
 */
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { WatchAddresses } from '../relay/endpoints/local-channel.js';

/** What the instructions need to know of a channel. */
export interface InstructedChannel {
  readonly name: string;
  readonly link: string;
  readonly publish: { readonly rtmp: string; readonly key: string } | null;
  readonly watch: WatchAddresses;
}

/** Printed once when a station is up. */
export function stationInstructions(page: string, channels: readonly InstructedChannel[]): readonly string[] {
  const lines = ['', 'Shoal is up.', '', `  Watch in a browser   ${page}`];
  for (const channel of channels) lines.push(...channelLines(channel), ...publishLines(channel), ...linkLines(channel));
  if (channels.length === 0) lines.push('', '  There is no channel yet: npx shoal channel create "My channel"');
  lines.push('', '  Ctrl+C stops it.', '');
  return lines;
}

/** Printed once when a viewer's endpoints are up. */
export function viewerInstructions(page: string, channel: InstructedChannel): readonly string[] {
  return [
    '',
    `Watching "${channel.name}".`,
    '',
    `  Watch in a browser   ${page}`,
    ...playerLines(channel.watch),
    '',
    '  Ctrl+C stops it.',
    '',
  ];
}

function channelLines({ name, watch }: InstructedChannel): readonly string[] {
  return ['', `Channel "${name}"`, ...playerLines(watch)];
}

function playerLines(watch: WatchAddresses): readonly string[] {
  const address = watch.flv ?? watch.mms?.replace('mms:', 'mmsh:');
  const lines = [
    `  VLC                  vlc ${address}`,
    `  mpv                  mpv ${address}`,
    `  ffplay               ffplay -fflags nobuffer ${address}`,
  ];
  const others = [
    [watch.rtmp, 'RTMP'],
    [watch.hls, 'HLS'],
    [watch.wsFlv, 'WebSocket FLV'],
    [watch.mms, 'MMS; mmsh: and mmst: too'],
  ].filter(([other]) => other !== null);
  return [
    ...lines,
    ...others.map(([other, kind], index) => `  ${index === 0 ? 'Other addresses     ' : '                    '} ${other}   (${kind})`),
  ];
}

function publishLines({ publish }: InstructedChannel): readonly string[] {
  if (!publish) return [];
  return [
    `  Publish from OBS     Server: ${publish.rtmp}   Stream key: ${publish.key}`,
    `  Publish with ffmpeg  ffmpeg -re -i FILE -c:v libx264 -pix_fmt yuv420p -g 50 -c:a aac -f flv ${publish.rtmp}/${publish.key}`,
  ];
}

function linkLines({ link }: InstructedChannel): readonly string[] {
  return [`  Watch elsewhere      npx shoal watch "${link}"`];
}

/** One line that says how a channel does: peers, buffer, rates, delay behind the publisher, and what is wrong with its publishers. */
export function progressLine(name: string, status: ChannelStatus): string {
  const parts = [
    name,
    stateOf(status),
    // Before the figures: a terminal cuts the line off at its width.
    ...publisherNotes(status),
    `${status.peers} ${status.peers === 1 ? 'peer' : 'peers'}`,
    `buffer ${status.bufferSeconds.toFixed(1)} s`,
    `down ${kilobits(status.downBytesPerSecond)}`,
    `up ${kilobits(status.upBytesPerSecond)}`,
  ];
  if (status.shareFromPeers !== null)
    parts.push(status.shareFromPeers === 0 ? 'all from the station' : `${Math.round(status.shareFromPeers * 100)} % from peers`);
  if (status.delayMs !== null) parts.push(`delay ${(status.delayMs / 1000).toFixed(1)} s`);
  if (status.holes > 0) parts.push(`${status.holes} windows missed`);
  if (status.inPart > 0) parts.push(`${status.inPart} in part`);
  return parts.join(' · ');
}

/** What people should do something about; mostly nothing. */
function publisherNotes(status: ChannelStatus): readonly string[] {
  const { conflict, alignment, publisherKey } = status;
  const notes: string[] = [];
  const right = missingRight(status);
  if (right !== null) notes.push(right);
  else if (alignment?.state === 'standby') notes.push('standing by');
  if (conflict) {
    const [followed, other] = conflict.publishers.map((key) => (key === publisherKey ? 'this station' : key.slice(0, 8)));
    notes.push(`CONFLICT: ${followed} is followed, ${other} shows other content`);
  }
  return notes;
}

function missingRight({ role, authority, certificateUntil }: ChannelStatus): string | null {
  if (role !== 'publisher' || authority === 'owner' || authority === 'delegated') return null;
  if (authority === 'withdrawn') return 'WITHDRAWN by the owner';
  if (authority === 'expired') return `EXPIRED ${certificateUntil?.slice(0, 10)}`;
  return 'NO RIGHT to publish yet';
}

/** What a station tells about its publishers between its instructions and its end: a line when something goes wrong, and when it is well again. */
export class PublisherNews {
  readonly #told = new Map<string, string>();

  /** @returns the lines to print now. */
  update(channels: readonly (ChannelStatus & { readonly id: string; readonly name: string })[]): readonly string[] {
    const lines: string[] = [];
    for (const channel of channels) {
      const text = publisherNotes(channel).join(' · ');
      if (text === (this.#told.get(channel.id) ?? '')) continue;
      this.#told.set(channel.id, text);
      lines.push(`Channel "${channel.name}": ${text === '' ? 'all is well with its publishers again' : text}`);
    }
    return lines;
  }
}

/** Without a single peer nobody can say whether the channel is on the air. */
function stateOf({ live, peers }: ChannelStatus): string {
  if (live) return 'live';
  return peers === 0 ? 'looking for peers' : 'waiting for the publisher';
}

function kilobits(bytesPerSecond: number): string {
  return `${Math.round((bytesPerSecond * 8) / 1000)} kbit/s`;
}
