/** A certificate for this machine that nobody trusts who has not been told to, made by openssl for the life of one test process. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './program.js';

export interface TestCertificate {
  readonly keyPath: string;
  readonly certificatePath: string;
  readonly key: string;
  readonly certificate: string;
}

/** @param names as in `IP:127.0.0.1,DNS:localhost`. */
export function makeCertificate(names: string): TestCertificate {
  const folder = temporaryFolder('certificate');
  const keyPath = join(folder, 'key.pem');
  const certificatePath = join(folder, 'certificate.pem');
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test', '-addext', `subjectAltName=${names}`];
  const { status, stderr } = spawnSync('openssl', [...words, '-keyout', keyPath, '-out', certificatePath], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  return { keyPath, certificatePath, key: readFileSync(keyPath, 'utf8'), certificate: readFileSync(certificatePath, 'utf8') };
}
