import { build, type Plugin } from 'esbuild';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeFolder, OUTPUT, withPackages } from '../../support/child-program.js';
import { programPackages } from '../../support/servers/lender-client.js';

const DIST = resolve(import.meta.dirname, '../../../dist');
const NAME = 'sample-shop';

let bundled: Promise<string> | undefined;

/**
 * The compiled shop in a few files, which takes a quarter of the time to start.
 *
 * @param main the file that a person would run
 */
export function bundledShop(main: string): Promise<string> {
  return (bundled ??= bundle(main));
}

async function bundle(main: string): Promise<string> {
  const packages = await programPackages();
  const folder = join(OUTPUT, `${fingerprint(packages.folder)}-${NAME}`);
  await makeFolder(folder, NAME, async (draft) => {
    const others = new Set<string>();
    await build({
      entryPoints: [{ in: main, out: 'main' }],
      outdir: draft,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      // The environment is checked before the rest is loaded.
      splitting: true,
      platform: 'node',
      format: 'esm',
      keepNames: true,
      logLevel: 'error',
      // That of the project leads to the sources.
      tsconfigRaw: {},
      plugins: [withPackages(packages, others), ownPlaces],
    });
    if (others.size > 0)
      throw new Error(`scripts/jest/program-packages.mjs needs ${[...others].join(', ')}.`);
  });
  return join(folder, 'main.mjs');
}

/** A bundled file still finds what lies beside it: the page, and the program of a worker. */
const ownPlaces: Plugin = {
  name: 'own places',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]dist[\\/].*\.js$/ }, ({ path }) => {
      const url = JSON.stringify(pathToFileURL(path).href);
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url) };
    });
  },
};

/** Of all that the shop is made of. */
function fingerprint(packages: string): string {
  const hash = createHash('sha256').update(packages);
  for (const part of ['sample-app', 'esm'].map((each) => join(DIST, each)))
    for (const name of readdirSync(part, { recursive: true, encoding: 'utf8' }).sort())
      if (name.endsWith('.js')) hash.update(`${name}\0`).update(readFileSync(join(part, name)));
  return hash.digest('hex').slice(0, 16);
}
