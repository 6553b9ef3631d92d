import { transform } from '@swc/core';
import { build, type Plugin } from 'esbuild';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
/** Inside the project, so that packages are found. */
const OUTPUT = join(ROOT, 'node_modules/.cache/test-programs');

/** As in Jest's configuration: esbuild knows no metadata of decorators. */
const withMetadata: Plugin = {
  name: 'decorator metadata',
  setup({ onLoad }) {
    onLoad({ filter: /\/(src|test)\/.*\.ts$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), {
        filename: path,
        sourceMaps: 'inline',
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
      });
      return { contents: code, loader: 'js' };
    });
  },
};

/** A program beside the tests, compiled with the library as it stands in `src`. */
export class ChildProgram {
  private readonly children = new Set<ChildProcess>();

  private constructor(private readonly file: string) {}

  /** @param source the program's path, from the root of the project */
  static async compile(source: string): Promise<ChildProgram> {
    const file = join(OUTPUT, `${process.pid}-${source.replaceAll(/\W+/g, '-')}.mjs`);
    mkdirSync(dirname(file), { recursive: true });
    await build({
      entryPoints: [join(ROOT, source)],
      outfile: file,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      keepNames: true,
      sourcemap: 'inline',
      logLevel: 'error',
      plugins: [withMetadata],
      alias: {
        'nestjs-idempotency': join(ROOT, 'src/index.ts'),
        'nestjs-idempotency/bullmq': join(ROOT, 'src/bullmq/index.ts'),
        'nestjs-idempotency/redis': join(ROOT, 'src/stores/redis/index.ts'),
        'nestjs-idempotency/typeorm': join(ROOT, 'src/stores/typeorm/index.ts'),
      },
    });
    return new ChildProgram(file);
  }

  /** A process of its own; resolves with its first message. */
  async start<Ready>(env: Record<string, string>): Promise<Child<Ready>> {
    const child = fork(this.file, { env: { ...process.env, ...env }, stdio: 'pipe' });
    this.children.add(child);
    let errors = '';
    child.stderr?.on('data', (text: Buffer) => (errors += text.toString()));
    const [ready] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`The program ended with ${String(code)}.\n${errors}`);
      }),
    ])) as [Ready];
    return { process: child, ready, errors: () => errors };
  }

  /** Ends what this program started. */
  async stop(): Promise<void> {
    for (const child of this.children) await end(child);
    rmSync(this.file, { force: true });
  }
}

export interface Child<Ready> {
  readonly process: ChildProcess;
  readonly ready: Ready;
  /** What it wrote to its error output. */
  errors(): string;
}

/** As a power cut would; resolves when it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** The next message of a process. */
export async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, 'message')) as [T];
  return message;
}
