/**
 * What a person declares as a channel, completed: its name in addresses, its source, and what it is made of.
 */
import { createHash } from 'node:crypto';
import { ShoalError } from '../kernel/errors.js';
import type { Container } from './channel-output.js';
import { slugOf } from './channel-slug.js';
import type { DeclaredChannel } from './station-channel.js';

const PULLED = /^(mms|mmsh|mmst|http):\/\//i;
const OTHER_ADDRESS = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * @param source an `mms:`, `mmsh:`, `mmst:` or `http:` address is pulled as ASF; any other text is the name of a pushed source.
 * @throws ShoalError `CHANNEL_NAME` for an address that cannot be pulled, or a container that does not fit.
 */
export function declareChannel(name: string, source?: string, container?: Container): DeclaredChannel {
  const slug = slugOf(name, `channel-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`);
  const pulled = source !== undefined && PULLED.test(source);
  if (!pulled && source !== undefined && OTHER_ADDRESS.test(source)) {
    throw new ShoalError(
      'CHANNEL_NAME',
      `channel "${name}": the source ${source} cannot be pulled; expected an mms:, mmsh:, mmst: or http: address, or a plain name to push to`,
    );
  }
  const fitting = pulled ? 'asf' : 'flv';
  if (container !== undefined && container !== fitting) {
    throw new ShoalError(
      'CHANNEL_NAME',
      `channel "${name}": a ${pulled ? 'pulled' : 'pushed'} source is ${fitting}, not ${container}; leave the container out`,
    );
  }
  return { slug, name, source: source ?? slug, container: fitting };
}
