import { PGlite } from '@electric-sql/pglite';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const PACKAGES = resolve(import.meta.dirname, '../../../node_modules');
const PRELOADED = new URL('./copied-database.mjs', import.meta.url).href;

/** One for each version: the folder's format is PGlite's own. */
function cachedFile(): string {
  const manifest = join(PACKAGES, '@electric-sql/pglite/package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return join(PACKAGES, `.cache/test-programs/pglite-${version}.tar`);
}

/**
 * What makes a shop begin with a copy of an empty database, rather than with making one: that is
 * most of the time that a shop takes to open.
 */
export async function withPreparedDatabase(): Promise<NodeJS.ProcessEnv> {
  const file = cachedFile();
  if (!existsSync(file)) await prepare(file);
  return { PREPARED_DATABASE: file, NODE_OPTIONS: `--import ${PRELOADED}` };
}

/** Other test files may do the same at the same time: the file is there as a whole or not at all. */
async function prepare(file: string): Promise<void> {
  const database = await PGlite.create();
  const data = await database.dumpDataDir('none');
  await database.close();
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.${randomUUID()}`;
  writeFileSync(unfinished, new Uint8Array(await data.arrayBuffer()));
  renameSync(unfinished, file);
}
