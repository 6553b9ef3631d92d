import { build } from 'esbuild';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plainEnvironment } from '../consumers/consumer.js';
import { linkPackages, pack, type Packed, root, run, unpackInto } from '../package/packed.js';
import { sharedPostgres, sharedRedis, type SharedServer } from '../support/servers/shared.js';
import { ROWS, RUN_TIMES } from './rows.js';

const INSTALL_TIMEOUT_MS = 10 * 60_000;
const RUN_TIMEOUT_MS = 3 * 60_000;

interface Source {
  /** The package of npm that contains the program, and is never a dependency of this one. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** Where the makers of Node, Bun and Deno put it for this machine. */
function sourceOf(kind: string): Source {
  const { platform, arch } = process;
  switch (kind) {
    case 'Bun': {
      const name = `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}`;
      return { name, program: 'bin/bun', args: ['run'] };
    }
    case 'Deno': {
      const name = `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`;
      // Packages as npm has installed them.
      return { name, program: 'deno', args: ['run', '-A', '--node-modules-dir=manual'] };
    }
    default:
      return { name: `node-${platform}-${arch}`, program: 'bin/node', args: [] };
  }
}

/** As ES modules and as CommonJS, which load different files of the package. */
const FORMATS = { esm: 'program.mjs', cjs: 'program.cjs' } as const;

const PEERS = ['common', 'core', 'platform-express', 'platform-fastify'];
const PACKAGES = ['ioredis', 'pg', 'redis', 'reflect-metadata', 'rxjs', 'typeorm'];

describe('the packed library', () => {
  let packed: Packed;
  let project: string;
  let redis: SharedServer;
  let postgres: SharedServer;

  beforeAll(async () => {
    packed = pack();
    project = join(packed.folder, 'project');
    unpackInto(project, packed);
    linkPackages(project, [...PEERS.map((name) => `@nestjs/${name}`), ...PACKAGES]);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'run-times' }));
    for (const format of ['esm', 'cjs'] as const) {
      await build({
        entryPoints: [join(root, 'test/runtimes/program.ts')],
        outfile: join(project, FORMATS[format]),
        bundle: true,
        packages: 'external',
        platform: 'node',
        format,
        target: 'node20',
        tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
      });
    }
    redis = await sharedRedis();
    postgres = await sharedPostgres();
  }, INSTALL_TIMEOUT_MS);

  afterAll(async () => {
    packed?.remove();
    await redis?.stop();
    await postgres?.stop();
  });

  it.each(RUN_TIMES)(
    'protects on %s, as ES modules and as CommonJS, on both platforms and in each kind of store, and lets the process end',
    (runTime) => {
      const [kind, version] = runTime.split(' ') as [string, string];
      const source = sourceOf(kind);
      const program = fetched(source, version);
      for (const file of Object.values(FORMATS)) {
        const printed = run(program, [...source.args, file], {
          cwd: project,
          env: {
            ...plainEnvironment(),
            NO_COLOR: '1',
            REDIS_URL: redis.url,
            POSTGRES_URL: postgres.url,
          },
          timeoutMs: RUN_TIMEOUT_MS,
        });
        expect({ file, ...JSON.parse(printed) }).toEqual({
          file,
          runTime,
          faults: Object.fromEntries(ROWS.map(({ name }) => [name, []])),
        });
      }
    },
    INSTALL_TIMEOUT_MS + 2 * RUN_TIMEOUT_MS,
  );
});

/** @returns the path of the program, which is fetched once and kept beside the packages */
function fetched({ name, program }: Source, version: string): string {
  const folder = join(
    root,
    'node_modules/.cache/run-times',
    `${name.replace('/', '-')}-${version}`,
  );
  if (!existsSync(folder)) {
    // Under a name of its own first: a fetch that was interrupted leaves no half of it.
    const draft = `${folder}.${process.pid}`;
    mkdirSync(draft, { recursive: true });
    writeFileSync(join(draft, 'package.json'), JSON.stringify({ name: 'run-time', private: true }));
    run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`], {
      cwd: draft,
      env: plainEnvironment(),
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
    renameSync(draft, folder);
  }
  return join(folder, 'node_modules', name, program);
}
