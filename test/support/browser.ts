/** Real Chromium for tests of the page, with a fresh profile each time and no traffic of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface BrowserOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: 'dark' | 'light';
}

export interface TestBrowser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

export async function openBrowser({ width = 1280, height = 900, colorScheme = 'dark' }: BrowserOptions = {}): Promise<TestBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'shoal-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    args: ARGUMENTS,
    viewport: { width, height },
    colorScheme,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Until an expression is true in the page. Playwright's own way makes a function of a string in the page, which the page forbids. */
export async function holds(page: Page, expression: string, timeoutMs = 15_000): Promise<void> {
  for (const endMs = performance.now() + timeoutMs; !(await page.evaluate(expression)); ) {
    if (performance.now() > endMs) throw new Error(`Waited ${timeoutMs} ms in vain: ${expression}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
