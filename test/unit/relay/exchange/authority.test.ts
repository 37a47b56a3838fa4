import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../../../src/io/crypto.js';
import { Authority, type Judgement } from '../../../../src/relay/exchange/authority.js';
import type { Certificate } from '../../../../src/relay/exchange/certificate.js';
import { WINDOW_DOMAIN } from '../../../../src/relay/exchange/manifest.js';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import {
  CERTIFICATE,
  CHANNEL,
  certify,
  DAY_MS,
  makeWindow,
  OWNER,
  PUBLISHER,
  STRANGER,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

/** An authority whose clock is in the test's hand, and which counts the signatures it checks. */
function setUp() {
  const state = { wallMs: WALL_MS, checks: 0 };
  const verifier = {
    verify: (...given: Parameters<typeof nodeVerifier.verify>): boolean => {
      state.checks += 1;
      return nodeVerifier.verify(...given);
    },
  };
  const authority = new Authority({ channel: CHANNEL, owner: OWNER.publicKey, verifier, wallClockMs: () => state.wallMs });
  const judge = (signer = PUBLISHER, certificate: Certificate | null = CERTIFICATE, number = 4): Judgement =>
    authority.judge(WINDOW_DOMAIN, makeWindow(number, 1, {}, signer, CHANNEL, certificate).manifest);
  return { authority, state, judge };
}

const listOf = (serial: number, key = PUBLISHER.publicKey, sinceMs = WALL_MS, owner = OWNER) =>
  signRevocationList(serial, [{ key, sinceMs }], CHANNEL, owner);

test('the owner, and whom it delegated, are valid', () => {
  const { judge } = setUp();
  assert.equal([judge(OWNER, null), judge()], ['valid', 'valid']);
});

test('foreign: a stranger, with no certificate, its own, or that of another', () => {
  const { judge } = setUp();
  const own = certify({ key: STRANGER.publicKey }, STRANGER);
  assert.equal(
    [judge(STRANGER, null), judge(STRANGER, own), judge(STRANGER, CERTIFICATE), judge(OWNER, CERTIFICATE)],
    new Array(4).fill('foreign'),
  );
});

test('a certificate is valid from its first moment up to its last', () => {
  const { judge, state } = setUp();
  const outcomes = [CERTIFICATE.fromMs - 1, CERTIFICATE.fromMs, CERTIFICATE.untilMs - 1, CERTIFICATE.untilMs].map((wallMs) => {
    state.wallMs = wallMs;
    return judge();
  });
  assert.equal(outcomes, ['early', 'valid', 'valid', 'expired']);
});

test('a withdrawn key may be delegated again, with a certificate that begins later', () => {
  const { authority, judge } = setUp();
  assert.is(authority.accept(listOf(1)), 'newer');
  assert.is(judge(), 'withdrawn');
  assert.is(judge(PUBLISHER, certify({ fromMs: WALL_MS })), 'valid');
  assert.is(judge(OWNER, null), 'valid', 'the owner itself cannot be withdrawn');
});

test('the greatest serial wins, whatever the order, and only of lists that the owner signed', () => {
  const { authority, state } = setUp();
  assert.is(authority.accept(listOf(5)), 'newer');
  const { checks } = state;
  assert.is(authority.accept(listOf(5, STRANGER.publicKey)), 'known');
  assert.is(authority.accept(listOf(4, STRANGER.publicKey, WALL_MS, STRANGER)), 'known');
  assert.is(state.checks, checks, 'old lists cost no signature check');
  assert.is(authority.accept(listOf(6, STRANGER.publicKey, WALL_MS, STRANGER)), 'foreign');
  assert.equal([authority.serial, authority.accept(listOf(7)), authority.serial], [5, 'newer', 7]);
});

test('a known certificate is not checked again, and strangers cannot crowd it out', () => {
  const { judge, state } = setUp();
  judge();
  state.checks = 0;
  judge(PUBLISHER, CERTIFICATE, 5);
  assert.is(state.checks, 1, 'the window alone');
  for (let count = 0; count < 100; count++) judge(STRANGER, certify({ key: STRANGER.publicKey, untilMs: WALL_MS + count + 1 }, STRANGER));
  state.checks = 0;
  judge(PUBLISHER, CERTIFICATE, 6);
  assert.is(state.checks, 1);
});

test('of very many certificates the least recently used is forgotten', () => {
  const { judge, state } = setUp();
  for (let count = 0; count < 65; count++) judge(PUBLISHER, certify({ untilMs: WALL_MS + count + 1 }));
  state.checks = 0;
  judge(PUBLISHER, certify({ untilMs: WALL_MS + 1 }));
  assert.is(state.checks, 2);
});

test('the end of what was judged valid is noticed once, at its moment', () => {
  const { authority, judge, state } = setUp();
  assert.not(authority.takeEnded());
  judge();
  judge(PUBLISHER, certify({ untilMs: WALL_MS + 5 * DAY_MS }));
  state.wallMs = CERTIFICATE.untilMs - 1;
  assert.not(authority.takeEnded());
  state.wallMs += 1;
  assert.ok(authority.takeEnded());
  assert.not(authority.takeEnded());
  authority.noteKept(certify({ untilMs: WALL_MS + 5 * DAY_MS }));
  authority.noteKept(null);
  state.wallMs = WALL_MS + 5 * DAY_MS;
  assert.ok(authority.takeEnded());
});

test('a clock that is set back takes nothing away', () => {
  const { authority, state } = setUp();
  state.wallMs = CERTIFICATE.fromMs - DAY_MS;
  assert.ok(authority.stillHolds(CERTIFICATE));
  state.wallMs = CERTIFICATE.untilMs + 1_000;
  assert.equal([authority.stillHolds(CERTIFICATE), authority.expiredForMs(CERTIFICATE)], [false, 1_000]);
});

test.run();
