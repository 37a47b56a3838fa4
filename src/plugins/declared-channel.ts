/**
 * What a person declares as a channel, completed: its name in addresses, its source, and what it is made of.
 */
import { createHash } from 'node:crypto';
import { canonicalSource } from '../ingest/channel.js';
import { parseSource } from '../ingest/source-life.js';
import { canBe, containerOf, type SourceUrl, withoutSecrets } from '../ingest/source-url.js';
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
  /**
   * Where this station really fetches the source, when that is another address than the public one. Secret: it may hold a token. The channel's id
   * does not depend on it.
   */
  readonly pull?: string | undefined;
  /** Everybody may publish it: the id follows from the source alone. Default: only the owner may. */
  readonly open?: boolean | undefined;
  /** Somebody else's channel, which this station may publish. Its descriptor stands in place of the local configuration. */
  readonly grant?: Grant | undefined;
}

const ADDRESS = /^[a-z][a-z0-9+.-]*:\/\//i;
const PULLABLE = 'an rtmp:, rtmps:, http:, https:, mms:, mmsh: or mmst: address';

const NAME_CHARACTERS_MAX = 80;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** What the configuration says of one channel. */
export interface ConfiguredChannel {
  readonly name: string;
  readonly source?: string | undefined;
  readonly pull?: string | undefined;
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
  return channels.map((channel) => {
    const { name, key } = channel;
    const declared = { ...declareChannel(channel), open: channel.open };
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
 * One channel. Its source is an address to pull, or a name; a named source is pushed, unless `pull` says where to fetch it.
 *
 * @throws ShoalError `CHANNEL_NAME` for an address that cannot be pulled, or a container that does not fit.
 */
export function declareChannel({ name, source: givenSource, pull, container: givenContainer }: ConfiguredChannel): DeclaredChannel {
  if (name === '' || name.length > NAME_CHARACTERS_MAX || CONTROL.test(name)) {
    const shown = JSON.stringify(name.slice(0, NAME_CHARACTERS_MAX));
    throw new ShoalError(
      'CHANNEL_NAME',
      `the channel name ${shown} cannot be used; expected 1 to ${NAME_CHARACTERS_MAX} characters that can be printed`,
    );
  }
  const slug = slugOf(name, `channel-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`);
  const source = givenSource ?? slug;
  const sourceUrl = ADDRESS.test(source) ? addressOf(name, 'source', source) : undefined;
  const pullUrl = pull === undefined ? undefined : addressOf(name, 'pull', pull);
  const container = fittingContainer(name, givenContainer, sourceUrl, pullUrl);
  const canonical = canonicalSource(source);
  if (canonical instanceof Malformed) {
    throw new ShoalError('CHANNEL_NAME', `channel "${name}": its source "${withoutSecrets(source)}" cannot be used: ${canonical.reason}`);
  }
  return { slug, name, source, container, ...(pull === undefined ? {} : { pull }) };
}

/** Where a station fetches the channel; undefined for one that is pushed to it. */
export function pullAddressOf({ source, pull }: Pick<DeclaredChannel, 'source' | 'pull'>): string | undefined {
  return pull ?? (ADDRESS.test(source) ? source : undefined);
}

/** Whether the query of the address that is fetched, which might be a token, stands in the channel's public descriptor. */
export function showsQuery({ source, pull }: Pick<DeclaredChannel, 'source' | 'pull'>): boolean {
  return pull === undefined && ADDRESS.test(source) && source.includes('?');
}

function addressOf(name: string, field: 'source' | 'pull', text: string): SourceUrl {
  const url = parseSource(text);
  if (!(url instanceof Malformed)) return url;
  // The whole of a pull address may be secret, its path too.
  const shown = field === 'source' ? `source ${withoutSecrets(text)}` : 'address in "pull"';
  const otherwise = field === 'source' ? ', or a plain name to push to' : '';
  throw new ShoalError('CHANNEL_NAME', `channel "${name}": the ${shown} cannot be pulled; expected ${PULLABLE}${otherwise}. ${url.reason}`);
}

/** The container is part of the channel's identity, so it follows from what is public: the source first, then what is said. */
function fittingContainer(name: string, given: Container | undefined, source?: SourceUrl, pull?: SourceUrl): Container {
  const natural = source ?? pull;
  const container = given ?? (natural ? containerOf(natural) : 'flv');
  for (const [field, url] of [['source', source] as const, ['pull', pull] as const]) {
    if (url === undefined || canBe(url.scheme, container)) continue;
    const advice = given === undefined ? 'give addresses that fit each other' : 'leave the container out';
    throw new ShoalError(
      'CHANNEL_NAME',
      `channel "${name}": its ${field} is an ${url.scheme}: address and cannot give ${container}; ${advice}`,
    );
  }
  if (natural === undefined && container !== 'flv')
    throw new ShoalError('CHANNEL_NAME', `channel "${name}": a pushed source is flv, not ${container}; leave the container out`);
  return container;
}
