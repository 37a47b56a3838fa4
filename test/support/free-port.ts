/**
 * A port that nobody has right now, nor gets by chance before its owner has bound it.
 *
 * Asking the system for port 0 gives one of those that outgoing connections are given too (32768 upwards by Linux's default), so a process that
 * is started, or started again, on such a port may find it taken. These lie below. Test files run side by side and often bind a port long after they have chosen it, so
 * each port is claimed for the process that asked: once in some hundred runs two of them got the same one.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FIRST = 12_000;
const LAST = 32_000;
const TRIES = 100;
/** One file for each port, with the process that has claimed it; worth nothing once that is gone. */
const CLAIMS = join(tmpdir(), `shoal-test-ports-${process.getuid?.() ?? 0}`);
const claimed: string[] = [];

process.on('exit', () => {
  for (const path of claimed) rmSync(path, { force: true });
});

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FIRST, LAST);
    if (claim(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST} in ${TRIES} tries`);
}

/** False when it is claimed already, by this process too. */
function claim(port: number): boolean {
  const path = join(CLAIMS, String(port));
  mkdirSync(CLAIMS, { recursive: true });
  if (writeClaim(path)) return true;
  if (isHeld(path)) return false;
  rmSync(path, { force: true });
  return writeClaim(path);
}

function writeClaim(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    claimed.push(path);
    return true;
  } catch {
    return false;
  }
}

/** The process that claimed it runs, or is just writing its claim. */
function isHeld(path: string): boolean {
  try {
    const pid = readFileSync(path, 'utf8');
    return pid === '' || process.kill(Number(pid), 0);
  } catch {
    return false;
  }
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
