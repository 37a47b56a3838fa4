/** Two stations as data folders, and the commands that pass the right to publish between them, for tests without processes. */
import { encodeDescriptor } from '../../src/ingest/channel.js';
import { createSigner } from '../../src/io/crypto.js';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { KeyFile } from '../../src/io/files/key-file.js';
import { resolveConfig, type ShoalConfig } from '../../src/plugins/config.js';
import type { DelegationDesk } from '../../src/plugins/delegation.js';
import { formatGrant, type Grant, parseGrant } from '../../src/plugins/grant.js';
import { signCertificate } from '../../src/relay/exchange/certificate.js';
import { OWNER, PUBLISHER, WALL_MS } from './exchange-fixture.js';
import { temporaryFolder } from './program.js';

export const DESCRIPTOR = { container: 'flv', source: 'push:stage', windowMs: 800, pieceBytes: 8192, owner: OWNER.publicKey } as const;

export function configWith(settings: readonly string[] = []): ShoalConfig {
  const { defaults } = readConfigFiles({ currentDir: '/nonexistent', configHome: '/nonexistent' });
  return resolveConfig({ defaults, settings: ['swarm.publicHost=192.0.2.7', ...settings] }).config;
}

/** A station with keys of its own, made from a number. */
export function makeDesk(number: number, settings: readonly string[] = ['station.testCard=false'], nowMs = WALL_MS): DelegationDesk {
  const seed = (salt: number): Uint8Array => new Uint8Array(32).fill(number * 2 + salt);
  const keys = KeyFile.open(temporaryFolder('desk'), () => seed(0));
  return { config: configWith(settings), keys, owner: createSigner(keys.ownerSeed), publisher: createSigner(seed(1)), nowMs };
}

export function at(desk: DelegationDesk, nowMs: number): DelegationDesk {
  return { ...desk, nowMs };
}

export function keyOf({ publisher }: DelegationDesk): string {
  return Buffer.from(publisher.publicKey).toString('hex');
}

/** A grant by `OWNER` for `PUBLISHER`, whatever desk there is. */
export function makeGrant(overrides: Partial<Grant> = {}): { readonly grant: Grant; readonly text: string } {
  const descriptorBytes = encodeDescriptor(DESCRIPTOR);
  const draft = { descriptorBytes, name: 'Stage', trackers: [], peers: [], revocations: null, ...overrides };
  // The id follows from the descriptor, and the certificate is bound to it.
  const terms = { key: PUBLISHER.publicKey, fromMs: WALL_MS - 1, untilMs: WALL_MS + 1 };
  const first = parseGrant(
    formatGrant({ ...draft, certificate: overrides.certificate ?? signCertificate(terms, '00'.repeat(20), OWNER) }),
  ) as Grant;
  const certificate = overrides.certificate ?? signCertificate(terms, first.id, OWNER);
  const text = formatGrant({ ...draft, certificate });
  return { grant: parseGrant(text) as Grant, text };
}
