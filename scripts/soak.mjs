// npm run soak -- --minutes 5 --seed 42: so long on each store, with the choices of this seed.
import { parseArgs } from 'node:util';
import { provideServers } from './servers.mjs';
import { install, tool } from './setup.mjs';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' } },
});
for (const [name, value] of Object.entries(values)) {
  if (Number(value) > 0) continue;
  console.error(`--${name} must be a number above 0, not "${value}".`);
  process.exit(1);
}
const path = provideServers();
install();
process.exitCode = await tool('jest/bin/jest.js', ['test/soak/soak.full.test.ts'], {
  nodeArgs: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
  env: {
    ...process.env,
    PATH: path,
    TEST_TIER: 'full',
    SOAK_MINUTES: values.minutes,
    ...(values.seed !== undefined && { TEST_SEED: values.seed }),
  },
});
