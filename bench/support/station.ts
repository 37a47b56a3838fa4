/**
 * What the measurements ask of a running Shoal process beyond what the tests do: figures of this moment, and where to publish.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { ChannelStatus } from '../../src/relay/endpoints/channel-status.js';
import type { ShoalProcess } from '../../test/support/shoal-process.js';
import type { PublishTarget } from './paced-publisher.js';

/** The channel's figures, counted up to now; status lines are up to a second old. */
export async function statusNow(shoal: ShoalProcess): Promise<ChannelStatus> {
  const response = await fetch(new URL('/api/channels', shoal.ready.page));
  const { channels } = (await response.json()) as { readonly channels: readonly { readonly status: ChannelStatus }[] };
  const [channel] = channels;
  if (!channel) throw new Error('The process has no channel.');
  return channel.status;
}

export function publishTarget(station: ShoalProcess): PublishTarget {
  const { publish } = station.channel;
  if (!publish) throw new Error('A viewer takes no publisher.');
  return { port: Number(new URL(publish.rtmp).port), key: publish.key };
}

/** A port nobody listens on at the moment, for what must be told its port beforehand. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a numbered address.');
  return address.port;
}
