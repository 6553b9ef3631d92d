import { build } from 'esbuild';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { plainEnvironment } from '../consumers/consumer.js';
import { pack, type Packed, root, run, unpackInto } from '../package/packed.js';
import { PLATFORMS } from '../support/http.js';
import { FILTERS } from './refused.app.js';

const INSTALL_TIMEOUT_MS = 10 * 60_000;
const RUN_TIMEOUT_MS = 3 * 60_000;

/** The oldest and the newest version of each major that is supported. */
const VERSIONS = [
  ['11.0.1', 'the oldest 11'],
  ['^11.0.0', 'the newest 11'],
  ['12.0.1', 'the oldest 12'],
  ['^12.0.0', 'the newest 12'],
] as const;

const NEST = [
  'common',
  'core',
  'platform-express',
  'platform-fastify',
  'microservices',
  'websockets',
  'platform-socket.io',
];

describe('under every version of Nest', () => {
  let packed: Packed;

  beforeAll(() => {
    packed = pack();
  });
  afterAll(() => packed.remove());

  it.each(VERSIONS)(
    'with Nest %s, %s, refusals leave as problem details with their code, without a warning, and messages and events run once',
    async (version) => {
      const folder = join(packed.folder, version.replace('^', 'newest-'));
      await mkdir(folder);
      const dependencies = {
        ...Object.fromEntries(NEST.map((name) => [`@nestjs/${name}`, version])),
        'reflect-metadata': '^0.2.0',
        rxjs: '^7.8.0',
        'socket.io-client': '^4.8.0',
      };
      writeFileSync(
        join(folder, 'package.json'),
        JSON.stringify({ name: 'versions', private: true, type: 'module', dependencies }),
      );
      // The Fastify adapter of 11.0 asks for Nest 10 by mistake.
      const options = ['--prefer-offline', '--ignore-scripts', '--legacy-peer-deps'];
      run('npm', ['install', '--no-audit', '--no-fund', ...options], {
        cwd: folder,
        env: plainEnvironment(),
        timeoutMs: INSTALL_TIMEOUT_MS,
      });
      unpackInto(folder, packed);
      await build({
        entryPoints: [join(root, 'test/versions/program.ts')],
        outfile: join(folder, 'program.js'),
        bundle: true,
        packages: 'external',
        platform: 'node',
        format: 'esm',
        target: 'node20',
        tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
      });
      const printed = run(process.execPath, ['program.js'], {
        cwd: folder,
        env: plainEnvironment(),
        timeoutMs: RUN_TIMEOUT_MS,
      });

      const cases = PLATFORMS.flatMap((platform) =>
        FILTERS.map((filter) => [`${platform}, ${filter}`, []] as const),
      );
      expect(JSON.parse(printed)).toEqual({ ...Object.fromEntries(cases), hybrid: [] });
    },
    INSTALL_TIMEOUT_MS + RUN_TIMEOUT_MS,
  );
});
