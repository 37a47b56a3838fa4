/** Waits for a condition with a deadline: what the tests use in place of sleeping. */

/** Resolves when `condition` holds; rejects, naming `what`, when it does not within `timeoutMs`. */
export async function until(what: string, condition: () => boolean, timeoutMs = 5000): Promise<void> {
  for (const endMs = performance.now() + timeoutMs; !condition(); ) {
    if (performance.now() > endMs) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
