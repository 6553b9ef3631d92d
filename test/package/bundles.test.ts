import { join } from 'node:path';
import { jest } from '@jest/globals';
import { build, type BuildOptions } from 'esbuild';
import { linkPackages, pack, type Packed, run, unpack } from './packed.js';

jest.setTimeout(180_000);

let packed: Packed;
let project: string;

beforeAll(() => {
  packed = pack();
  project = unpack(packed);
  linkPackages(project, ['@nestjs/platform-express']);
});
afterAll(() => packed?.remove());

/** An application with a route, and with a provider method unless it is told otherwise. */
const PROGRAM = `
  import 'reflect-metadata';
  import { Controller, Module, Post } from '@nestjs/common';
  import { NestFactory } from '@nestjs/core';
  import { arg, Idempotent, IdempotencyModule } from 'nestjs-idempotency';

  class Charges {
    @Idempotent({ key: arg(0) }) charge(id: string) { return id; }
  }
  @Controller('payments')
  class Payments {
    private count = 0;
    @Post() @Idempotent() pay() { return { id: ++this.count }; }
  }
  const providers = process.argv.includes('routes') ? [] : [Charges];
  @Module({ imports: [IdempotencyModule.forRoot()], controllers: [Payments], providers })
  class AppModule {}

  async function main() {
    const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
    const answers: unknown[] = [];
    for (let n = 0; n < 2; n++) {
      const init = { method: 'POST', headers: { 'Idempotency-Key': 'k' } };
      const reply = await fetch((await app.getUrl()) + '/payments', init);
      answers.push([reply.status, await reply.text(), reply.headers.get('Idempotent-Replayed')]);
    }
    await app.close();
    return answers;
  }
  main().then(
    (answers) => console.log(JSON.stringify(answers)),
    (error) => console.log(JSON.stringify(error.message)),
  );`;

const REPLAYED = [
  [201, '{"id":1}', null],
  [201, '{"id":1}', 'true'],
];

/** What those who bundle Nest leave out, because Nest itself asks for it. */
const OF_NEST = ['@nestjs/microservices', '@nestjs/websockets', 'class-*', '@fastify/*'];
const REQUIRE = `import { createRequire as from } from 'node:module'; const require = from(import.meta.url);`;

/** Bundles the program with all packages in one file; the library is the copy of the `format`. */
async function bundle(format: 'esm' | 'cjs', options: BuildOptions = {}): Promise<string> {
  const outfile = join(project, format === 'esm' ? 'bundle.mjs' : 'bundle.cjs');
  const { warnings } = await build({
    stdin: { contents: PROGRAM, loader: 'ts', resolveDir: project },
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    alias: { 'nestjs-idempotency': `./node_modules/nestjs-idempotency/dist/${format}/index.js` },
    absWorkingDir: project,
    bundle: true,
    platform: 'node',
    format,
    ...(format === 'esm' ? { banner: { js: REQUIRE } } : {}),
    external: OF_NEST,
    outfile,
    logLevel: 'silent',
    ...options,
  });
  expect(warnings).toEqual([]);
  return outfile;
}

const start = (file: string, ...args: string[]): unknown =>
  JSON.parse(run(process.execPath, [file, ...args], { cwd: project }));

describe('a bundle', () => {
  it('with shortened names protects everything if classes keep theirs', async () => {
    expect(start(await bundle('cjs', { minify: true, keepNames: true }))).toEqual(REPLAYED);
  });

  it('that shortens the names of classes protects routes, and refuses scopes with such a name', async () => {
    const file = await bundle('esm', { minify: true });
    expect(start(file, 'routes')).toEqual(REPLAYED);
    const refusal =
      /^Idempotency option "scope of (\w+)\.charge" is "\1\.charge, in a bundle that shortens the names of classes"\. .* Give the handler a `scope`, or keep the names: keepNames of esbuild/;
    expect(start(file)).toMatch(refusal);
  });
});
