// Everything after `npm test --` goes to Jest as it is.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { provideServers } from './servers.mjs';
import { buildLibrary, buildSample, install, root, tool } from './setup.mjs';

let path;
try {
  path = provideServers();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
install();
// Tests of the package and of the consumers read what is built here.
await buildLibrary();
if (existsSync(join(root, 'sample-app'))) await buildSample();
process.exitCode = await tool('jest/bin/jest.js', process.argv.slice(2), {
  nodeArgs: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
  env: { ...process.env, PATH: path },
});
