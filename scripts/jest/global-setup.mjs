// Gives the run its folder, and lends servers to the tests that ask: each starts at the first request.
import { build, stop } from 'esbuild';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { providePackages } from './program-packages.mjs';
import { clearUpAfterThisProcess, makeRunFolder, RUN } from './run-folder.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export default async function setUp() {
  // A watching Jest comes here before each of its runs.
  if (globalThis.idempotencyTestRun !== undefined) return;
  // Who started Jest may have made it already.
  const folder = process.env[RUN] ?? makeRunFolder();
  clearUpAfterThisProcess(folder);
  process.env[RUN] = folder;
  process.env.TMPDIR = folder;
  let lender;
  const lenderOnce = () => (lender ??= loadLender(folder));
  let packages;
  const packagesOnce = () => (packages ??= providePackages());
  const server = createServer((request, response) => {
    (request.url === '/packages'
      ? packagesOnce()
      : lenderOnce().then((it) => it.answer(request))
    ).then(
      (answer) => response.end(JSON.stringify(answer)),
      (error) => {
        response.statusCode = 500;
        response.end(String(error?.stack ?? error));
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  process.env.IDEMPOTENCY_TEST_LENDER = `http://127.0.0.1:${server.address().port}`;
  globalThis.idempotencyTestRun = {
    folder,
    /** What a test file borrowed and did not give back. */
    giveBack: async (testPath) => (await lender)?.giveBackAllOf(testPath),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await (await lender)?.stop();
    },
  };
}

/** The servers' recipes are TypeScript, as the tests are. */
async function loadLender(folder) {
  const outfile = join(ROOT, `node_modules/.cache/test-programs/lender-${process.pid}.mjs`);
  await build({
    entryPoints: [join(ROOT, 'test/support/servers/lender.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  });
  // Its service would wait for more.
  await stop();
  const { Lender } = await import(pathToFileURL(outfile).href);
  rmSync(outfile);
  return new Lender(folder);
}
