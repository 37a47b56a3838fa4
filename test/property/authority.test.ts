/** The law of authority: whatever order lists, certificates, ends and windows come in, nothing is played, announced or served whose signer may not sign. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner } from '../../src/io/crypto.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { Signer } from '../../src/kernel/ports.js';
import type { Certificate } from '../../src/relay/exchange/certificate.js';
import { CertificateMemory } from '../../src/relay/exchange/certificate-memory.js';
import type { LiveMessage } from '../../src/relay/exchange/live-message.js';
import type { LiveEffect } from '../../src/relay/exchange/live-protocol.js';
import { type RevocationList, signRevocationList } from '../../src/relay/exchange/revocation-list.js';
import {
  availability,
  CHANNEL,
  certify,
  DrivenExchange,
  type MadeWindow,
  makeWindow,
  OWNER,
  PARAMETERS,
  STRANGER,
  WALL_MS,
} from '../support/exchange-fixture.js';
import { assertLaw } from '../support/law.js';

const SECOND_MS = 1_000;
const NUMBERS = 6;
const A = createSigner(new Uint8Array(32).fill(21));
const B = createSigner(new Uint8Array(32).fill(22));

/** Everybody who signs here; times are seconds after `WALL_MS`. */
interface Party {
  readonly signer: Signer;
  readonly certificate: Certificate | null;
  /** The owner signed its certificate, or it is the owner. */
  readonly genuine: boolean;
}

const between = (signer: Signer, fromS: number, untilS: number, owner = OWNER): Party => ({
  signer,
  certificate: certify({ key: signer.publicKey, fromMs: WALL_MS + fromS * SECOND_MS, untilMs: WALL_MS + untilS * SECOND_MS }, owner),
  genuine: owner === OWNER,
});
const PARTIES: readonly Party[] = [
  { signer: OWNER, certificate: null, genuine: true },
  between(A, -100, 100),
  between(A, 5, 200),
  between(B, -100, 8),
  between(B, 3, 12),
  between(STRANGER, -100, 100, STRANGER),
];

/** One window of each number by each party, with bytes that tell whose it is. */
const MADE: readonly (readonly MadeWindow[])[] = PARTIES.map(({ signer, certificate }, party) =>
  Array.from({ length: NUMBERS }, (_, number) => {
    const bytes = new Uint8Array(90).fill(party * 16 + number);
    const keyMarks = [{ offsetBytes: 0, afterStartMs: 0 }];
    return makeWindow(number, 1, { bytes, keyMarks }, signer, CHANNEL, certificate);
  }),
);
const listOf = (serial: number, key: Signer, sinceS: number): RevocationList =>
  signRevocationList(serial, [{ key: key.publicKey, sinceMs: WALL_MS + sinceS * SECOND_MS }], CHANNEL, OWNER);

type Step =
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'list'; readonly serial: number; readonly ofB: boolean; readonly sinceS: number; readonly own: boolean }
  | { readonly kind: 'offer'; readonly party: number; readonly number: number }
  | { readonly kind: 'ask'; readonly number: number };

const number = fc.nat({ max: NUMBERS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 0, max: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('list' as const),
      serial: fc.integer({ min: 1, max: 5 }),
      ofB: fc.boolean(),
      sinceS: fc.integer({ min: -50, max: 10 }),
      own: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('offer' as const), party: fc.nat({ max: PARTIES.length - 1 }), number }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ask' as const), number }) },
);

/** Drives one exchange, and judges all it does by what the outside knows. */
class Trial {
  wallMs = WALL_MS;
  played = 0;
  served = 0;
  /** The asker says nothing for seconds on end, and is not let go for it: its lists have to be heard. */
  readonly #driven = new DrivenExchange({ wallClockMs: () => this.wallMs, parameters: { ...PARAMETERS, secondStageMs: 0 } });
  readonly #certificates = new Map<string, CertificateMemory>();
  #list: RevocationList | undefined;
  #neighbours = 0;

  constructor() {
    this.#judge(this.#driven.meet('asker'));
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'pass':
        this.wallMs += step.seconds * SECOND_MS;
        return this.#judge(this.#driven.wait(step.seconds * SECOND_MS));
      case 'list':
        return this.#takeList(step.own, listOf(step.serial, step.ofB ? B : A, step.sinceS));
      case 'offer':
        return this.#offer(step.party, MADE[step.party]?.[step.number] as MadeWindow);
      case 'ask':
        return this.#hear('asker', { kind: 'request', window: step.number, pieces: [0], wantManifest: true, patienceMs: 1_000 });
    }
  }

  #takeList(own: boolean, list: RevocationList): void {
    if (list.serial > (this.#list?.serial ?? 0)) this.#list = list;
    if (own) this.#judge(this.#driven.input({ kind: 'command', command: { kind: 'revoke', bytes: list.bytes } }));
    else this.#hear('asker', { kind: 'revocations', bytes: list.bytes });
  }

  /** Somebody new has this window and answers when asked: manifest first, or piece first. */
  #offer(party: number, made: MadeWindow): void {
    const from = `offerer ${this.#neighbours++}`;
    this.#judge(this.#driven.meet(from));
    this.#judge(this.#driven.hearMap(from, [availability(made)]));
    this.wallMs += 800;
    this.#judge(this.#driven.wait(800));
    const manifest = { kind: 'manifest', ageMs: 0, bytes: made.manifest.bytes } as const;
    const piece = { kind: 'piece', window: made.content.number, piece: 0, payload: made.pieces[0] as Uint8Array } as const;
    for (const message of party % 2 === 0 ? [manifest, piece] : [piece, manifest]) this.#hear(from, message);
  }

  #hear(from: string, message: Parameters<DrivenExchange['hear']>[1]): void {
    this.#judge(this.#driven.hear(from, message));
  }

  #judge(effects: readonly LiveEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'emit' && effect.event.kind === 'window') {
        this.played += 1;
        this.#assertValid(effect.event.bytes[0] ?? 0, 'played');
      }
      if (effect.kind !== 'send') continue;
      if (effect.message.kind === 'piece') {
        this.served += 1;
        this.#assertValid(effect.message.payload[0] ?? 0, 'served');
      }
      if (effect.message.kind === 'manifest') this.#assertManifest(this.#whole(effect.to, effect.message));
    }
  }

  #whole(to: string, message: LiveMessage & { kind: 'manifest' }): Uint8Array {
    const memory = this.#certificates.get(to) ?? new CertificateMemory();
    this.#certificates.set(to, memory);
    const bytes = memory.restore(message);
    assert.not.instance(bytes, Malformed);
    return bytes as Uint8Array;
  }

  #assertManifest(bytes: Uint8Array): void {
    const mark = MADE.flat().find(({ manifest }) => Buffer.compare(manifest.bytes, bytes) === 0)?.content.bytes[0];
    assert.is.not(mark, undefined);
    this.#assertValid(mark ?? 0, 'shown');
  }

  /** What the rules say, said once more and plainly. A certificate that is early was not, when the window was taken. */
  #assertValid(mark: number, what: string): void {
    const { certificate, genuine, signer } = PARTIES[mark >> 4] as Party;
    assert.ok(genuine, `${what}: foreign`);
    if (!certificate) return;
    assert.ok(this.wallMs >= certificate.fromMs, `${what}: early`);
    assert.ok(this.wallMs < certificate.untilMs, `${what}: expired`);
    const void_ = this.#list?.entries.some(
      ({ key, sinceMs }) => Buffer.compare(key, signer.publicKey) === 0 && certificate.fromMs < sinceMs,
    );
    assert.not(void_, `${what}: withdrawn`);
  }
}

test('nothing is played, shown or served whose signer may not sign at that moment', () => {
  const total = { played: 0, served: 0 };
  assertLaw(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const trial = new Trial();
      for (const one of steps) trial.take(one);
      total.played += trial.played;
      total.served += trial.served;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(total.played > 100 && total.served > 100, `too little happened: ${JSON.stringify(total)}`);
});

test.run();
