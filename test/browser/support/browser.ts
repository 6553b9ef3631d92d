import { type Browser, chromium } from 'playwright-core';
import { pathFolders, programIn } from '../../support/servers/programs.js';

/** For whatever a browser or a shop is waited for: it takes seconds unless the machine is busy. */
export const PATIENCE_MS = 180_000;

/** The Chromium of the system, in a profile of its own that is gone afterwards. */
export function startChromium(): Promise<Browser> {
  return chromium.launch({
    timeout: PATIENCE_MS,
    executablePath: programIn(pathFolders(), 'chromium'),
    // Going back is tried both with the cache for it, which this allows, and without.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      // A host whose pages are without TLS, and are no localhost.
      '--host-resolver-rules=MAP shop.test 127.0.0.1',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
