import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type NestAddOptions, nestAdd, type ProjectTree } from '../../src/schematics/nest-add.js';
import { STORES } from '../../src/schematics/stores.js';
import { root } from '../docs/markdown.js';
import { typeErrors } from '../docs/type-check.js';

const MODULE = `import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';

// imports: [none of these]
@Module({
  imports: [],
  controllers: [AppController],
})
export class AppModule {}
`;

const manifest = (dependencies: Record<string, string> = {}) =>
  JSON.stringify({ dependencies: { '@nestjs/core': '^11.0.1', ...dependencies } });

class Project extends Map<string, string> {
  readonly said: string[] = [];
  installs = 0;

  constructor(module = MODULE, dependencies?: Record<string, string>) {
    super([
      ['package.json', manifest(dependencies)],
      ['src/app.module.ts', module],
    ]);
  }

  run(options: NestAddOptions): this {
    const tree: ProjectTree = {
      exists: (path) => this.has(path),
      read: (path) => (this.has(path) ? Buffer.from(this.get(path)!) : null),
      create: (path, content) => {
        if (this.has(path)) throw new Error(`${path} exists.`);
        this.set(path, content);
      },
      overwrite: (path, content) => void this.set(path, content),
    };
    const logger = { info: (message: string) => void this.said.push(message) };
    nestAdd(options)(tree, { logger, addTask: () => ++this.installs });
    return this;
  }
}

describe('nest add', () => {
  it.each(Object.keys(STORES))(
    'puts the module with the store %s, an example and the packages in place, once',
    (store) => {
      const project = new Project().run({ store });
      expect(project.get('src/app.module.ts')).toBe(
        MODULE.replace('imports: [],', 'imports: [AppIdempotencyModule],').replace(
          "controller.js';\n",
          "controller.js';\nimport { AppIdempotencyModule } from './idempotency/idempotency.module.js';\n",
        ),
      );
      const { dependencies } = JSON.parse(project.get('package.json')!) as {
        dependencies: Record<string, string>;
      };
      expect(Object.keys(dependencies)).toEqual(
        expect.arrayContaining(Object.keys(STORES[store]!.packages)),
      );
      expect(Object.values(dependencies)).not.toContain('nest');
      expect(project.installs).toBe(store === 'memory' ? 0 : 1);
      expect(project.has('src/migrations/1763700000000-create-idempotency-records.ts')).toBe(
        store.startsWith('typeorm-'),
      );
      expect(project.has('migrations/idempotency-records.sql')).toBe(
        ['postgres', 'mysql'].includes(store),
      );

      const before = [...project];
      project.run({ store: 'redis' });
      expect([...project]).toEqual(before);
      expect(project.said.at(-1)).toMatch(/Nothing was changed/);
    },
  );

  it('writes code that type-checks', () => {
    const blocks = Object.keys(STORES).flatMap((store) => {
      const project = new Project().run({ store });
      return [...project]
        .filter(([path]) => /^src\/(?!app\.)/.test(path))
        .map(([path, code]) => ({ document: store, line: 1, code: `// ${path}\n${code}` }));
    });
    expect(typeErrors(blocks)).toEqual([]);
  }, 120_000);

  it('takes the data source that a project has', () => {
    const project = new Project(MODULE, { '@nestjs/typeorm': '^11.0.0' });
    project.run({ store: 'typeorm-postgres' });
    expect(project.get('src/idempotency/idempotency.module.ts')).not.toContain('TypeOrmModule');
    expect(project.get('package.json')).toBe(manifest({ '@nestjs/typeorm': '^11.0.0' }));
  });

  it.each([
    ['imports: [A, B],', 'imports: [AppIdempotencyModule, A, B],'],
    ['imports: [\n    A,\n  ],', 'imports: [\n    AppIdempotencyModule,\n    A,\n  ],'],
    ['exports: [],', '\n  imports: [AppIdempotencyModule],\n  exports: [],'],
  ])('finds its place in a module with %s', (given, edited) => {
    const project = new Project(MODULE.replace('imports: [],', given)).run({ store: 'memory' });
    const [, body] = project.get('src/app.module.ts')!.split('@Module({');
    expect(body!.startsWith(edited.startsWith('\n') ? edited : `\n  ${edited}`)).toBe(true);
  });

  it.each([
    ['an unknown store', {}, 'store'],
    ['no root module', { store: 'memory', module: 'src/none.ts' }, '--module'],
  ])('refuses %s, and says what to do', (_what, options, named) => {
    expect(() => new Project().run(options)).toThrow(named);
  });

  it('refuses a module that it cannot edit, and leaves it alone', () => {
    const project = new Project(MODULE.replace('imports: [],', 'imports: MODULES,'));
    expect(() => project.run({ store: 'redis' })).toThrow(/Write "imports: \[\]"/);
    expect(project.size).toBe(2);
  });

  it('asks for every store that it knows', () => {
    const file = join(root, 'src/schematics/schema.json');
    const { properties } = JSON.parse(readFileSync(file, 'utf8')) as {
      properties: { store: { enum: string[]; 'x-prompt': { items: { value: string }[] } } };
    };
    expect(properties.store.enum).toEqual(Object.keys(STORES));
    expect(properties.store['x-prompt'].items.map(({ value }) => value)).toEqual(
      Object.keys(STORES),
    );
  });
});
