import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Judgement } from '../../../../src/relay/exchange/authority.js';
import { CLOCK_SKEW_MS, noteRefused } from '../../../../src/relay/exchange/offences.js';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import { addNeighbour, CHANNEL, certify, makeContext, OWNER, WALL_MS } from '../../../support/exchange-fixture.js';

/** Refuses something twice; returns why the sender was banned. */
function refuseTwice(judgement: Judgement, { serial = 0, untilMs = WALL_MS + 1 } = {}): string | undefined {
  const context = makeContext();
  context.authority.accept(signRevocationList(5, [], CHANNEL, OWNER));
  const x = addNeighbour(context, 'x');
  const signed = { bytes: new Uint8Array(), certificate: certify({ untilMs }) };
  noteRefused(context, x, 'window 4', { judgement, signed, serial });
  assert.equal(context.takeAccused(), []);
  noteRefused(context, x, 'window 5', { judgement, signed, serial });
  return context.takeAccused()[0]?.[1].detail;
}

test('what is foreign counts always, and the second time is a ban', () => {
  assert.match(refuseTwice('foreign') ?? '', /^window 5 without the signature of the owner/);
});

test('what is withdrawn counts when the sender had read our list', () => {
  assert.is(refuseTwice('withdrawn', { serial: 4 }), undefined);
  assert.match(refuseTwice('withdrawn', { serial: 5 }) ?? '', /withdrawn/);
});

test('what has expired counts when no honest clock could still think otherwise', () => {
  assert.is(refuseTwice('expired', { untilMs: WALL_MS - CLOCK_SKEW_MS }), undefined);
  assert.match(refuseTwice('expired', { untilMs: WALL_MS - CLOCK_SKEW_MS - 1 }) ?? '', /expired by the clock of this machine/);
});

test('when dates are the reason, it is said once that our own clock may be wrong', () => {
  const context = makeContext();
  const x = addNeighbour(context, 'x');
  const signed = { bytes: new Uint8Array(), certificate: certify() };
  for (const judgement of ['withdrawn', 'early', 'expired', 'early'] as const)
    noteRefused(context, x, 'window 4', { judgement, signed, serial: 0 });
  assert.equal(context.takeEffects(), [{ kind: 'emit', event: { kind: 'clock-doubt', certificate: signed.certificate, wallMs: WALL_MS } }]);
});

test('what is early never counts', () => {
  assert.is(refuseTwice('early', { serial: 9 }), undefined);
});

test.run();
