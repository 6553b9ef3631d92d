import { wrongOption } from '../engine/configuration-error.js';
import { sqlMigration } from '../stores/sql/migration.js';
import { importsEndInJs, withImport } from './module-text.js';
import { onOwnDataSource, type StoreChoice, STORES } from './stores.js';

/** The files of a project, as Angular's schematics have them. */
export interface ProjectTree {
  exists(path: string): boolean;
  read(path: string): Buffer | null;
  create(path: string, content: string): void;
  overwrite(path: string, content: string): void;
}

/** What a schematic may do besides writing files. */
export interface SchematicRun {
  readonly logger: { info(message: string): void };
  /** Installs packages once the files are written. */
  addTask(task: { toConfiguration(): { name: string; options: object } }): unknown;
}

export interface NestAddOptions {
  readonly store?: string;
  readonly module?: string;
  readonly sourceRoot?: string;
  readonly skipInstall?: boolean;
}

interface Manifest {
  readonly type?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const MODULE = 'AppIdempotencyModule';
const MIGRATION = '1763700000000-create-idempotency-records';

/**
 * What `nest add nestjs-idempotency` does: the module with its store, the table where there is one, and a protected
 * example. Where the project has any of it already, nothing is changed.
 */
export function nestAdd({ store = '', sourceRoot = 'src', ...options }: NestAddOptions) {
  return (tree: ProjectTree, run: SchematicRun): ProjectTree => {
    if (!Object.hasOwn(STORES, store)) {
      const known = Object.keys(STORES).join(', ');
      throw wrongOption(
        '--store',
        store,
        known,
        'Run nest add nestjs-idempotency --store <store>.',
      );
    }
    const root = options.module ?? `${sourceRoot}/app.module.ts`;
    const text = tree.read(root)?.toString('utf8');
    if (text === undefined) {
      const remedy = 'Name the file of your root module: --module src/main.module.ts.';
      throw wrongOption('--module', root, 'a file of the project', remedy);
    }
    const folder = `${sourceRoot}/idempotency`;
    if (
      /\b(?:App)?IdempotencyModule\b/.test(text) ||
      tree.exists(`${folder}/idempotency.module.ts`)
    ) {
      run.logger.info('IdempotencyModule is there already. Nothing was changed.');
      return tree;
    }
    const manifest = JSON.parse(tree.read('package.json')!.toString('utf8')) as Manifest;
    const end = (importsEndInJs(text) ?? manifest.type === 'module') ? '.js' : '';
    const hasTypeOrm = manifest.dependencies?.['@nestjs/typeorm'] !== undefined;
    const choice =
      STORES[store]!.isTypeOrm === true && hasTypeOrm
        ? onOwnDataSource(STORES[store]!)
        : STORES[store]!;

    const edited = withImport(text, MODULE, `${pathTo(root, folder)}/idempotency.module${end}`);
    if (edited === undefined) {
      const remedy = `Write "imports: []" into the @Module() of ${root}, and run it again.`;
      throw wrongOption('imports', `of ${root}`, 'a list in the @Module() of one class', remedy);
    }
    tree.overwrite(root, edited);
    tree.create(`${folder}/idempotency.module.ts`, moduleFile(choice, hasTypeOrm, end));
    tree.create(`${folder}/example.controller.ts`, EXAMPLE);
    const migration = `${sourceRoot}/migrations/${MIGRATION}.ts`;
    if (choice.isTypeOrm && !tree.exists(migration)) tree.create(migration, MIGRATION_FILE);
    const table = 'migrations/idempotency-records.sql';
    if (choice.table !== undefined && !tree.exists(table)) {
      const { up } = sqlMigration(choice.table);
      tree.create(table, up.map((each) => `${each};\n`).join('\n'));
    }
    if (addPackages(tree, manifest, choice)) {
      if (options.skipInstall) run.logger.info('Install the packages that package.json has now.');
      else install(tree, run);
    }
    run.logger.info(choice.next);
    run.logger.info(
      `Then try it: ${folder}/example.controller.ts has the call. Protect your own handlers the same way.`,
    );
    return tree;
  };
}

/** From the folder of one file to another folder, both from the root of the project. */
function pathTo(file: string, folder: string): string {
  const from = file
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .slice(0, -1);
  const to = folder.split('/').filter((part) => part !== '' && part !== '.');
  while (from.length > 0 && from[0] === to[0]) {
    from.shift();
    to.shift();
  }
  return [...(from.length === 0 ? ['.'] : from.map(() => '..')), ...to].join('/');
}

function moduleFile(choice: StoreChoice, hasTypeOrm: boolean, end: string): string {
  const { before = '', elements, imports } = choice;
  const common = before === '' ? 'Module' : 'Injectable, Module, type OnApplicationShutdown';
  const isMigrated = choice.isTypeOrm === true && !hasTypeOrm;
  return [
    `import { ${common} } from '@nestjs/common';`,
    ...imports,
    ...(isMigrated
      ? [
          `import { CreateIdempotencyRecords1763700000000 } from '../migrations/${MIGRATION}${end}';`,
        ]
      : []),
    `import { IdempotencyExampleController } from './example.controller${end}';`,
    before,
    `@Module({
  imports: [
${elements}  ],
  controllers: [IdempotencyExampleController],
})
export class ${MODULE} {}
`,
  ]
    .join('\n')
    .replaceAll('\n\n\n', '\n\n');
}

const MIGRATION_FILE = `// The table of the records. The class is the library's, so that it is the same in every project.
export { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
`;

const EXAMPLE = `import { Body, Controller, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';

/**
 * Make this call twice. The second answer is the first one again, with \`Idempotent-Replayed: true\`:
 *
 *     curl -i http://localhost:3000/idempotency-example -H 'Idempotency-Key: 7d0b1c52' -H 'Content-Type: application/json' -d '{"amount":40}'
 */
@Controller('idempotency-example')
export class IdempotencyExampleController {
  private payments = 0;

  @Post()
  @Idempotent()
  pay(@Body() { amount }: { amount: number }) {
    return { id: ++this.payments, amount };
  }
}
`;

/** @returns whether any was missing */
function addPackages(tree: ProjectTree, manifest: Manifest, choice: StoreChoice): boolean {
  const { dependencies = {}, devDependencies = {} } = manifest;
  const all = { ...devDependencies, ...dependencies };
  const major = /\d+/.exec(all['@nestjs/core'] ?? all['@nestjs/common'] ?? '')?.[0] ?? '12';
  const missing = (packages: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(
      Object.entries(packages)
        .filter(([name]) => all[name] === undefined)
        .map(([name, range]) => [name, range === 'nest' ? `^${major}.0.0` : range]),
    );
  const [added, addedDev] = [missing(choice.packages), missing(choice.devPackages)];
  if (Object.keys({ ...added, ...addedDev }).length === 0) return false;
  const sorted = (packages: Record<string, string>) =>
    Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  const text = tree.read('package.json')!.toString('utf8');
  const [, indentation = '  '] = /^\{\r?\n([ \t]+)/.exec(text) ?? [];
  const changed = {
    ...manifest,
    dependencies: sorted({ ...dependencies, ...added }),
    ...(Object.keys(addedDev).length > 0 && {
      devDependencies: sorted({ ...devDependencies, ...addedDev }),
    }),
  };
  tree.overwrite('package.json', `${JSON.stringify(changed, null, indentation)}\n`);
  return true;
}

const LOCKS = { 'pnpm-lock.yaml': 'pnpm', 'yarn.lock': 'yarn', 'bun.lock': 'bun' } as const;

/** With the package manager that the project's lock file is of. */
function install(tree: ProjectTree, run: SchematicRun): void {
  const lock = Object.keys(LOCKS).find((name) => tree.exists(name)) as keyof typeof LOCKS;
  const options = { command: 'install', quiet: true, packageManager: LOCKS[lock] ?? 'npm' };
  run.addTask({ toConfiguration: () => ({ name: 'node-package', options }) });
}
