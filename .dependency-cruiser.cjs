const { FLOORS } = require('./scripts/floors.cjs');

/** Where each driver lives. A driver is an optional peer: nothing else may make the root need it. */
const DRIVERS = [
  { home: 'src/stores/redis', packages: ['ioredis', 'redis', '@redis/[^/]+'] },
  {
    home: 'src/stores/typeorm',
    packages: [
      'typeorm',
      '@nestjs/typeorm',
      'nestjs-cls',
      '@nestjs-cls/[^/]+',
      'pg',
      'mysql2',
      'mariadb',
      'better-sqlite3',
      'sqlite3',
      'sql[.]js',
    ],
  },
  { home: 'src/transports/rpc', packages: ['@nestjs/microservices'] },
  { home: 'src/transports/ws', packages: ['@nestjs/websockets'] },
  { home: 'src/transports/graphql', packages: ['@nestjs/graphql', 'graphql'] },
  { home: 'src/bullmq', packages: ['bullmq', '@nestjs/bullmq'] },
  { home: 'src/swagger', packages: ['@nestjs/swagger'] },
  { home: 'src/opentelemetry', packages: ['@opentelemetry/[^/]+'] },
  { home: 'src/etcd', packages: ['etcd3'] },
  { home: 'src/zookeeper', packages: ['node-zookeeper-client', 'zookeeper'] },
  { home: 'src/terminus', packages: ['@nestjs/terminus'] },
];

/** Matches a package, its subpaths and its `@types`, installed or not. */
const anyOf = (packages) =>
  `(^|/node_modules/|^node_modules/)(@types/)?(${packages.join('|')})(/|$)`;
const everyDriver = anyOf(DRIVERS.flatMap(({ packages }) => packages));

const TESTS = '[.]spec[.]ts$';

/** Matches the files of a folder of `src`, not those of folders in it. */
const filesOf = (folder) => (folder === '.' ? '^src/[^/]+$' : `^src/${folder}/[^/]+$`);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'engine-stands-alone',
      comment: 'The engine imports itself and Node: no Nest, no rxjs, no driver, no other folder.',
      severity: 'error',
      from: { path: '^src/engine/', pathNot: TESTS },
      to: { pathNot: '^src/engine/', dependencyTypesNot: ['core'] },
    },
    {
      name: 'client-stands-alone',
      comment: 'The client runs in a browser: it imports nothing from outside itself.',
      severity: 'error',
      from: { path: '^src/client/', pathNot: TESTS },
      to: { pathNot: '^src/client/' },
    },
    {
      name: 'store-sees-only-the-engine',
      comment:
        'A store imports the engine, its own folder, its own driver and Node; TypeOrmStore also what all SQL has.',
      severity: 'error',
      from: { path: '^src/stores/([^/]+)/', pathNot: TESTS },
      to: {
        pathNot: ['^src/engine/', '^src/stores/$1/', '^src/stores/sql/', everyDriver],
        dependencyTypesNot: ['core'],
      },
    },
    ...DRIVERS.map(({ home, packages }) => ({
      name: `driver-stays-in-${home.split('/').pop()}`,
      comment: `These packages are imported in ${home} only.`,
      severity: 'error',
      from: { path: '^src/', pathNot: [`^${home}/`, TESTS] },
      to: { path: anyOf(packages) },
    })),
    ...FLOORS.flatMap((floor, at) =>
      floor.map((folder) => ({
        name: `floor-of-${folder === '.' ? 'root-files' : folder.replace('/', '-')}`,
        comment:
          'A folder imports itself and the floors below its own; scripts/floors.cjs has them.',
        severity: 'error',
        from: { path: filesOf(folder), pathNot: TESTS },
        to: { path: '^src/', pathNot: [folder, ...FLOORS.slice(0, at).flat()].map(filesOf) },
      })),
    ),
    {
      name: 'no-import-circles',
      comment: 'Type-only imports count: a circle of types is a seam in the wrong place.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      conditionNames: ['import', 'require', 'node', 'types', 'default'],
      exportsFields: ['exports'],
    },
  },
};
