// Judges the tarball that would be published: its exports map, its types under every resolution.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, tool } from './setup.mjs';

const folder = mkdtempSync(join(tmpdir(), 'idempotency-package-'));
try {
  const tarball = pack(folder);
  const publint = await tool('publint/src/cli.js', ['run', tarball, '--strict']);
  const attw = await tool('@arethetypeswrong/cli/dist/index.js', [tarball]);
  process.exitCode = Math.max(publint, attw);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
