// Checks the tarballs that would be published: their exports maps, and their types in every
// resolution mode.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLIENT_PACKAGE, pack, root, tool } from './setup.mjs';

const folder = mkdtempSync(join(tmpdir(), 'idempotency-package-'));
try {
  const codes = [];
  for (const from of [root, CLIENT_PACKAGE]) {
    const tarball = pack(folder, from);
    codes.push(await tool('publint/src/cli.js', ['run', tarball, '--strict']));
    // Only bundlers look for the one file for pages.
    const ignored = from === CLIENT_PACKAGE ? ['--exclude-entrypoints', './browser'] : [];
    codes.push(await tool('@arethetypeswrong/cli/dist/index.js', [tarball, ...ignored]));
  }
  const manifest = JSON.parse(readFileSync(join(CLIENT_PACKAGE, 'package.json'), 'utf8'));
  const needed = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  if (needed.length > 0) {
    console.error(`The client must not need other packages, but it imports ${needed.join(', ')}.`);
    codes.push(1);
  }
  process.exitCode = Math.max(...codes);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
