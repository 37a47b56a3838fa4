/**
 * A port that nobody has right now, nor gets by chance before its owner has bound it.
 *
 * Asking the system for port 0 gives one of those that outgoing connections are given too (32768 upwards by Linux's default), so a process that
 * is started, or started again, on such a port may find it taken. These lie below.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const FIRST = 12_000;
const LAST = 32_000;
const TRIES = 100;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FIRST, LAST);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST} in ${TRIES} tries`);
}

/** Whether a server can be bound to `port` on loopback. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .once('listening', () => server.close(() => resolve(true)));
    server.listen(port, '127.0.0.1');
  });
}
