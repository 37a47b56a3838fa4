/**
 * What a person declares as a channel, completed: its name in addresses, its source, and what it is made of.
 */
import { createHash } from 'node:crypto';
import { canonicalSource } from '../ingest/channel.js';
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Container } from './channel-output.js';
import { slugOf } from './channel-slug.js';
import type { Grant } from './grant.js';

/** A channel as it was declared in the configuration or made on the command line. */
export interface DeclaredChannel {
  readonly slug: string;
  readonly name: string;
  /** A name for a pushed source, an address for a pulled one. */
  readonly source: string;
  readonly container: Container;
  /** Everybody may publish it: the id follows from the source alone. Default: only the owner may. */
  readonly open?: boolean | undefined;
  /** Somebody else's channel, which this station may publish. Its descriptor stands in place of the local configuration. */
  readonly grant?: Grant | undefined;
}

const PULLED = /^(mms|mmsh|mmst|http):\/\//i;
const OTHER_ADDRESS = /^[a-z][a-z0-9+.-]*:\/\//i;

const NAME_CHARACTERS_MAX = 80;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** What the configuration says of one channel. */
export interface ConfiguredChannel {
  readonly name: string;
  readonly source?: string | undefined;
  readonly key?: string | undefined;
  readonly container?: Container | undefined;
  readonly open?: boolean | undefined;
}

/**
 * All channels of the configuration, in order.
 *
 * @throws ShoalError `CHANNEL_NAME` for one that cannot be, `CHANNEL_EXISTS` for two with one address or one stream key.
 */
export function declareChannels(channels: readonly ConfiguredChannel[], taken: readonly string[]): readonly DeclaredChannel[] {
  const slugs = new Set(taken.map((name) => slugOf(name, name)));
  const keys = new Map<string, string>();
  return channels.map(({ name, source, key, container, open }) => {
    const declared = { ...declareChannel(name, source, container), open };
    if (slugs.has(declared.slug)) {
      const message = `channel "${name}": there is another channel whose address is "${declared.slug}"; give one of them another name`;
      throw new ShoalError('CHANNEL_EXISTS', message, { slug: declared.slug });
    }
    const sharer = key === undefined ? undefined : keys.get(key);
    if (sharer !== undefined)
      throw new ShoalError('CHANNEL_EXISTS', `channels "${sharer}" and "${name}" have the same stream key; give each its own`);
    slugs.add(declared.slug);
    if (key !== undefined) keys.set(key, name);
    return declared;
  });
}

/**
 * @param source an `mms:`, `mmsh:`, `mmst:` or `http:` address is pulled as ASF; any other text is the name of a pushed source.
 * @throws ShoalError `CHANNEL_NAME` for an address that cannot be pulled, or a container that does not fit.
 */
export function declareChannel(name: string, source?: string, container?: Container): DeclaredChannel {
  if (name === '' || name.length > NAME_CHARACTERS_MAX || CONTROL.test(name)) {
    const shown = JSON.stringify(name.slice(0, NAME_CHARACTERS_MAX));
    throw new ShoalError(
      'CHANNEL_NAME',
      `the channel name ${shown} cannot be used; expected 1 to ${NAME_CHARACTERS_MAX} characters that can be printed`,
    );
  }
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
  const canonical = canonicalSource(source ?? slug);
  if (canonical instanceof Malformed) {
    throw new ShoalError('CHANNEL_NAME', `channel "${name}": its source "${source}" cannot be used: ${canonical.reason}`);
  }
  return { slug, name, source: source ?? slug, container: fitting };
}
