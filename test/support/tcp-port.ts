/** Loopback ports of programs that a test starts: when one is open. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const WAIT_MS = 15_000;
const POLL_MS = 20;

/** Resolves as soon as somebody listens. */
export async function whenListening(port: number, timeoutMs = WAIT_MS): Promise<void> {
  for (const endMs = performance.now() + timeoutMs; !(await isListening(port)); await delay(POLL_MS)) {
    if (performance.now() > endMs) throw new Error(`nobody listens on port ${port} after ${timeoutMs} ms`);
  }
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
