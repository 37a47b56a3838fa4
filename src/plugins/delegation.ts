/**
 * What the owner of a channel and the stations that publish for him do with `shoal channel delegate`, `accept` and `revoke`.
 *
 * Works on the files of the data folder alone, beside a running station, which looks at them every two seconds. Whatever is refused is
 * refused in words that say what would be right.
 */
import { nodeVerifier } from '../io/crypto.js';
import type { KeyFile, StoredDelegation } from '../io/files/key-file.js';
import { sameBytes } from '../kernel/bytes.js';
import { type ErrorCode, Malformed, ShoalError } from '../kernel/errors.js';
import type { Signer } from '../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../kernel/units.js';
import { type Certificate, certificateIsSigned, decodeCertificate, signCertificate } from '../relay/exchange/certificate.js';
import {
  decodeRevocationList,
  isRevoked,
  REVOCATIONS_MAX,
  type RevocationList,
  revocationListIsSigned,
  revokedSinceMs,
  signRevocationList,
} from '../relay/exchange/revocation-list.js';
import { channelRoster, descriptorOf, type RosterEntry } from './channel-roster.js';
import { slugOf } from './channel-slug.js';
import type { ShoalConfig } from './config.js';
import { formatGrant, formatRevocation, type Grant, parseGrant, parseRevocation, REVOCATION_PREFIX } from './grant.js';
import { configuredAddresses } from './public-address.js';
import { CERTIFICATE_MS, dateOf, HEAD_START_MS } from './station-authority.js';

/** What every one of these commands works with. */
export interface DelegationDesk {
  readonly config: ShoalConfig;
  readonly keys: KeyFile;
  /** The owner of this station's own channels. */
  readonly owner: Signer;
  /** This station as a publisher. */
  readonly publisher: Signer;
  /** Unix time. */
  readonly nowMs: Milliseconds;
}

/** What a person may say about a delegation. */
export interface DelegationTerms {
  readonly days?: number | undefined;
  /** ISO 8601; a date alone is its first moment in UTC. */
  readonly until?: string | undefined;
  readonly from?: string | undefined;
  readonly label?: string | undefined;
}

const DAY_MS: Milliseconds = 86_400_000;
/** A key that nobody remembers must not sign for ever. */
const CERTIFICATE_DAYS_MAX = 400;
const LABEL_CHARACTERS_MAX = 80;

/** A new grant, and what a person should know about it. */
export interface Delegated {
  readonly grant: string;
  readonly certificate: Certificate;
  readonly remarks: readonly string[];
}

/** @throws ShoalError `CHANNEL_UNKNOWN`, `DELEGATION_REFUSED`. */
export function delegate(desk: DelegationDesk, name: string, keyText: string, terms: DelegationTerms = {}): Delegated {
  const entry = ownedChannel(desk, name);
  const key = publisherKey(keyText);
  const list = listOf(desk.keys, entry.id);
  const { fromMs, untilMs } = termOf(desk.nowMs, terms, revokedSinceMs(list, key));
  const certificate = signCertificate({ key, fromMs, untilMs }, entry.id, desk.owner);
  desk.keys.keepDelegation(entry.id, {
    key: hexOf(key),
    label: labelOf(terms.label ?? delegationOf(desk.keys, entry.id, key)?.label),
    certificate: base64Url(certificate.bytes),
  });
  const addresses = configuredAddresses(desk.config);
  const descriptorBytes = descriptorOf(entry.declared, desk.config, desk.owner.publicKey);
  const grant = formatGrant({ descriptorBytes, certificate, name: entry.declared.name, revocations: list ?? null, ...addresses });
  const nowhere = addresses.trackers.length + addresses.peers.length === 0;
  return {
    grant,
    certificate,
    remarks: [
      ...(nowhere
        ? ['The grant names no tracker and no peer, because the ports are 0 (any free one): the other station needs tracker.announce.']
        : []),
      ...(fromMs > desk.nowMs ? [`It begins at ${dateOf(fromMs)}.`] : []),
    ],
  };
}

/** What was withdrawn, and the text that other stations accept. */
export interface Revoked {
  readonly notice: string;
  readonly remarks: readonly string[];
}

/**
 * Withdraws a key: every certificate that it has for the channel is void.
 *
 * @throws ShoalError `CHANNEL_UNKNOWN`, `DELEGATION_REFUSED`.
 */
export function revoke(desk: DelegationDesk, name: string, keyText: string): Revoked {
  const { id, declared } = ownedChannel(desk, name);
  const key = publisherKey(keyText);
  const known = listOf(desk.keys, id);
  const delegation = delegationOf(desk.keys, id, key);
  // A certificate that has yet to begin is to be void too.
  const sinceMs = Math.max(desk.nowMs, (delegation?.certificate.fromMs ?? 0) + 1);
  // What was withdrawn longer ago than any certificate lasts needs no entry any more.
  const others = (known?.entries ?? []).filter(
    (entry) => !sameBytes(entry.key, key) && entry.sinceMs + CERTIFICATE_DAYS_MAX * DAY_MS + HEAD_START_MS > desk.nowMs,
  );
  if (others.length >= REVOCATIONS_MAX) {
    throw refusal(
      'DELEGATION_REFUSED',
      `${REVOCATIONS_MAX} keys of "${declared.name}" are withdrawn, and no more fit on the list. An entry goes ${CERTIFICATE_DAYS_MAX} days after it was made`,
    );
  }
  const list = signRevocationList(Math.max(desk.nowMs, (known?.serial ?? 0) + 1), [...others, { key, sinceMs }], id, desk.owner);
  desk.keys.keepRevocations(id, list.bytes);
  const own = sameBytes(key, desk.publisher.publicKey);
  return {
    notice: formatRevocation({ id, list }),
    remarks: [
      ...(delegation || own ? [] : [`This station had not delegated that key for "${declared.name}".`]),
      ...(own ? [`That is the key of this very station: it publishes "${declared.name}" no more until you delegate the key again.`] : []),
    ],
  };
}

/** What a station has taken over. */
export interface Accepted {
  readonly kind: 'channel' | 'renewal' | 'revocation';
  readonly name: string;
  /** Of the channel, once it is stored. */
  readonly slug: string;
  readonly container: 'flv' | 'asf';
  readonly untilMs: Milliseconds | null;
}

/**
 * Takes a grant or a revocation over.
 *
 * @param name what the channel is to be called here, instead of the grant's name.
 * @throws ShoalError `GRANT_REFUSED`, `CHANNEL_EXISTS`.
 */
export function accept(desk: DelegationDesk, text: string, name?: string): Accepted {
  return text.trim().startsWith(REVOCATION_PREFIX) ? acceptRevocation(desk, text) : acceptGrant(desk, text, name);
}

function acceptGrant(desk: DelegationDesk, text: string, name: string | undefined): Accepted {
  const grant = parseGrant(text);
  if (grant instanceof Malformed) throw refusal('GRANT_REFUSED', `The grant is refused: ${grant.reason}`);
  const fault = faultOf(grant, desk, listOf(desk.keys, grant.id));
  if (fault) throw refusal('GRANT_REFUSED', `The grant is refused: ${fault}`);
  const known = roster(desk).find(({ id }) => id === grant.id);
  const slug = known?.declared.slug ?? store(desk, grant, name ?? grant.name);
  desk.keys.keepGrant(grant.id, formatGrant(grant));
  if (grant.revocations) desk.keys.keepRevocations(grant.id, grant.revocations.bytes);
  return {
    kind: known ? 'renewal' : 'channel',
    name: known?.declared.name ?? name ?? grant.name,
    slug,
    container: grant.descriptor.container,
    untilMs: grant.certificate.untilMs,
  };
}

function acceptRevocation(desk: DelegationDesk, text: string): Accepted {
  const notice = parseRevocation(text);
  if (notice instanceof Malformed) throw refusal('GRANT_REFUSED', `The revocation is refused: ${notice.reason}`);
  const entry = roster(desk).find(({ id }) => id === notice.id);
  if (!entry?.descriptor.owner)
    throw refusal('GRANT_REFUSED', `The revocation is refused: it is for channel ${notice.id}, which this station does not publish.`);
  if (!revocationListIsSigned(notice.list, notice.id, entry.descriptor.owner, nodeVerifier)) {
    throw refusal('GRANT_REFUSED', `The revocation is refused: it was not signed by the owner of "${entry.declared.name}".`);
  }
  desk.keys.keepRevocations(notice.id, notice.list.bytes);
  const { name, slug, container } = entry.declared;
  return { kind: 'revocation', name, slug, container, untilMs: null };
}

/** Why this station cannot use the grant, in words that say what would be right. */
function faultOf({ id, descriptor, certificate, revocations, name }: Grant, desk: DelegationDesk, known: RevocationList | undefined) {
  const own = hexOf(desk.publisher.publicKey);
  if (!descriptor.owner) return 'the channel is open, so everybody may publish it without a grant: shoal channel create --open';
  if (!certificateIsSigned(certificate, id, descriptor.owner, nodeVerifier)) {
    return "its certificate was not signed by the channel's owner. Ask the owner for a new one, from: shoal channel delegate";
  }
  if (revocations && !revocationListIsSigned(revocations, id, descriptor.owner, nodeVerifier)) {
    return "its list of withdrawn keys was not signed by the channel's owner. Ask the owner for a new grant";
  }
  if (!sameBytes(certificate.key, desk.publisher.publicKey)) {
    return `it is for the publisher key ${hexOf(certificate.key)}, and this station's is ${own}. The owner can run: shoal channel delegate "${name}" ${own}`;
  }
  if (desk.nowMs >= certificate.untilMs) {
    return `it ended at ${dateOf(certificate.untilMs)}, and it is ${dateOf(desk.nowMs)} now. Ask the owner for a new one, or set this machine's clock right`;
  }
  if (isRevoked(revocations ?? undefined, certificate) || isRevoked(known, certificate)) {
    return 'the owner has withdrawn this key since it was made. Only a newer grant brings it back';
  }
  const kept = parseGrant(desk.keys.authority().grants.get(id) ?? '');
  if (!(kept instanceof Malformed) && kept.certificate.fromMs > certificate.fromMs) {
    return `this station has a newer one already, which ends at ${dateOf(kept.certificate.untilMs)}`;
  }
  return undefined;
}

/** Makes a channel of a grant. @returns its slug. */
function store(desk: DelegationDesk, { id, descriptor }: Grant, name: string): string {
  const slug = slugOf(name, `channel-${id.slice(0, 8)}`);
  if (roster(desk).some(({ declared }) => declared.slug === slug)) {
    throw refusal('CHANNEL_EXISTS', `there is a channel with the address "${slug}" here already; call this one otherwise: --name NAME`);
  }
  desk.keys.addChannel({ slug, name, source: descriptor.source, container: descriptor.container, granted: id });
  return slug;
}

/** The channel of that name or address. @throws ShoalError `CHANNEL_UNKNOWN`. */
export function channelNamed(desk: DelegationDesk, name: string): RosterEntry {
  const entries = roster(desk);
  const found = entries.find(({ declared, id }) => declared.name === name || declared.slug === name || id === name);
  if (found) return found;
  const names = entries.map(({ declared }) => `"${declared.name}"`).join(', ');
  throw refusal('CHANNEL_UNKNOWN', `this station has no channel "${name}"; it has ${names === '' ? 'none' : names}`);
}

export function roster({ config, keys, owner }: DelegationDesk): readonly RosterEntry[] {
  return channelRoster(config, keys, owner.publicKey);
}

function ownedChannel(desk: DelegationDesk, name: string): RosterEntry {
  const entry = channelNamed(desk, name);
  if (!entry.descriptor.owner)
    throw refusal('DELEGATION_REFUSED', `"${entry.declared.name}" is open: everybody may publish it, and nobody can be withdrawn`);
  if (entry.owned) return entry;
  throw refusal(
    'DELEGATION_REFUSED',
    `this station does not own "${entry.declared.name}": the owner's key is ${hexOf(entry.descriptor.owner)}. Only the owner's station can do this`,
  );
}

/** The newest list of the channel that is known here. */
export function listOf(keys: KeyFile, id: InfoHash): RevocationList | undefined {
  const bytes = keys.revocations(id);
  const list = bytes && decodeRevocationList(bytes);
  return list instanceof Malformed ? undefined : list;
}

/** A delegation made here, with its certificate read. */
export interface Delegation extends Omit<StoredDelegation, 'certificate'> {
  readonly certificate: Certificate;
}

export function delegationsOf(keys: KeyFile, id: InfoHash): readonly Delegation[] {
  const stored = keys.authority().delegations.get(id) ?? [];
  return stored.flatMap((one) => {
    const certificate = decodeCertificate(new Uint8Array(Buffer.from(one.certificate, 'base64url')));
    return certificate instanceof Malformed ? [] : [{ ...one, certificate }];
  });
}

function delegationOf(keys: KeyFile, id: InfoHash, key: Uint8Array): Delegation | undefined {
  return delegationsOf(keys, id).find((delegation) => delegation.key === hexOf(key));
}

function publisherKey(text: string): Uint8Array {
  const hex = text.trim().toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return new Uint8Array(Buffer.from(hex, 'hex'));
  throw refusal(
    'DELEGATION_REFUSED',
    `"${text.slice(0, LABEL_CHARACTERS_MAX)}" is no publisher key; expected the 64 hex digits that "shoal channel show" prints on the other station`,
  );
}

function termOf(nowMs: Milliseconds, { days, until, from }: DelegationTerms, withdrawnSinceMs: Milliseconds | undefined) {
  if (days !== undefined && until !== undefined) throw refusal('DELEGATION_REFUSED', 'say either --days or --until, not both');
  const fromMs = from === undefined ? Math.max(nowMs - HEAD_START_MS, withdrawnSinceMs ?? 0) : momentOf(from, '--from');
  const beginMs = Math.max(nowMs, fromMs);
  const untilMs = until === undefined ? beginMs + (days === undefined ? CERTIFICATE_MS : days * DAY_MS) : momentOf(until, '--until');
  if (fromMs < (withdrawnSinceMs ?? 0))
    throw refusal('DELEGATION_REFUSED', `that key is withdrawn; a new certificate begins at ${dateOf(withdrawnSinceMs ?? 0)} or later`);
  if (untilMs <= nowMs) throw refusal('DELEGATION_REFUSED', `a certificate until ${dateOf(untilMs)} would have ended already`);
  if (untilMs <= fromMs) throw refusal('DELEGATION_REFUSED', `it would end at ${dateOf(untilMs)}, before it begins at ${dateOf(fromMs)}`);
  if (untilMs - beginMs > CERTIFICATE_DAYS_MAX * DAY_MS)
    throw refusal('DELEGATION_REFUSED', `a certificate lasts ${CERTIFICATE_DAYS_MAX} days at most; it can be renewed at any time`);
  return { fromMs: Math.floor(fromMs), untilMs: Math.floor(untilMs) };
}

function momentOf(text: string, option: string): Milliseconds {
  const unixMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(unixMs) && unixMs >= 0) return unixMs;
  throw refusal('DELEGATION_REFUSED', `${option} "${text}" is no date; expected for example 2027-01-31 or 2027-01-31T18:00Z`);
}

function labelOf(text = ''): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this takes out.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '').slice(0, LABEL_CHARACTERS_MAX);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function refusal(code: ErrorCode, message: string): ShoalError {
  return new ShoalError(code, message);
}
