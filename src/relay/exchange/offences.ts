/**
 * When something signed without authority is held against the neighbour that sent it: honest neighbours relay in good faith and are not banned.
 *
 * - `foreign` always counts: whoever passes windows on checks them first.
 * - `withdrawn` counts only when the neighbour must have read our list before it sent: streams are in order, so it must have if we had
 *   sent the list before we asked for what came.
 * - `expired` counts only when the certificate ended a while ago: clocks differ.
 * - `early` never counts: it is as likely our own clock that is behind.
 *
 * The second offence ends the acquaintance.
 */
import type { Milliseconds } from '../../kernel/units.js';
import type { Judgement, Signed } from './authority.js';
import type { ExchangeContext } from './exchange-context.js';
import { type Manifest, WINDOW_DOMAIN } from './manifest.js';
import type { Neighbour } from './neighbour.js';

/** One may be somebody's clock, or a delegation that ended a moment ago. */
const OFFENCES_MAX = 2;
/** By how much clocks of honest machines may differ. */
export const CLOCK_SKEW_MS: Milliseconds = 5 * 60 * 1000;

/**
 * Something came that its signer had no right to sign.
 *
 * @param serial of the newest list that the neighbour had read when it sent it, as far as can be proved.
 */
export function noteRefused(
  context: ExchangeContext,
  neighbour: Neighbour,
  what: string,
  { judgement, signed, serial }: { readonly judgement: Judgement; readonly signed: Signed; readonly serial: number },
): void {
  if (judgement === 'early' || judgement === 'expired') doubtClock(context, signed);
  if (!counts(context, judgement, signed, serial)) return;
  neighbour.offences += 1;
  if (neighbour.offences >= OFFENCES_MAX) context.accuse(neighbour, `${what} ${SAYINGS[judgement]}, and not for the first time`);
}

/** Whether the channel's authority lets a window in that this neighbour sent; if not, it is held against the neighbour, as far as it counts. */
export function isAdmitted(context: ExchangeContext, neighbour: Neighbour, manifest: Manifest): boolean {
  const serial = neighbour.noteManifestCame(manifest.number);
  const judgement = context.authority.judge(WINDOW_DOMAIN, manifest);
  if (judgement === 'valid') return true;
  neighbour.map.noteMissing(manifest.number);
  noteRefused(context, neighbour, `window ${manifest.number}`, { judgement, signed: manifest, serial });
  return false;
}

function doubtClock(context: ExchangeContext, { certificate }: Signed): void {
  if (context.clockDoubted || !certificate) return;
  context.clockDoubted = true;
  context.emit({ kind: 'clock-doubt', certificate, wallMs: context.authority.wallMs });
}

const SAYINGS: Readonly<Record<Judgement, string>> = {
  valid: 'signed rightly',
  foreign: 'without the signature of the owner or of anybody it delegated',
  early: 'with a certificate that is not valid yet',
  expired: 'with a certificate that has expired by the clock of this machine',
  withdrawn: 'with a certificate that the owner has withdrawn',
};

function counts({ authority }: ExchangeContext, judgement: Judgement, { certificate }: Signed, serial: number): boolean {
  switch (judgement) {
    case 'foreign':
      return true;
    case 'withdrawn':
      return serial >= authority.serial;
    case 'expired':
      return certificate !== null && authority.expiredForMs(certificate) > CLOCK_SKEW_MS;
    default:
      return false;
  }
}
