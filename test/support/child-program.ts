import { transform } from '@swc/core';
import { build, type Plugin } from 'esbuild';
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join, resolve } from 'node:path';

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

  /**
   * Compiles it, unless that was done before from the same sources: by another test, or another run.
   *
   * @param source the program's path, from the root of the project
   */
  static async compile(source: string): Promise<ChildProgram> {
    const name = `${source.replaceAll(/\W+/g, '-')}.mjs`;
    const file = join(OUTPUT, `${fingerprintOfSources()}-${name}`);
    if (existsSync(file)) {
      const now = new Date();
      utimesSync(file, now, now);
      return new ChildProgram(file);
    }
    mkdirSync(OUTPUT, { recursive: true });
    removeOld(name);
    // Under a name of its own first: nobody starts a program that is half written.
    const draft = join(OUTPUT, `${process.pid}-${name}`);
    await build({
      entryPoints: [join(ROOT, source)],
      outfile: draft,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      keepNames: true,
      sourcemap: 'inline',
      logLevel: 'error',
      // It does not outlive the test that started it, however that ends.
      banner: { js: "process.once('disconnect', () => process.exit(1));" },
      plugins: [withMetadata],
      alias: {
        'nestjs-idempotency': join(ROOT, 'src/index.ts'),
        'nestjs-idempotency/bullmq': join(ROOT, 'src/bullmq/index.ts'),
        'nestjs-idempotency/contracts': join(ROOT, 'src/contracts/index.ts'),
        'nestjs-idempotency/redis': join(ROOT, 'src/stores/redis/index.ts'),
        'nestjs-idempotency/sql': join(ROOT, 'src/stores/sql/index.ts'),
        'nestjs-idempotency/typeorm': join(ROOT, 'src/stores/typeorm/index.ts'),
      },
    });
    renameSync(draft, file);
    return new ChildProgram(file);
  }

  /**
   * A process of its own; resolves with its first message.
   *
   * @param execPath the Node that runs it
   */
  async start<Ready>(
    env: Record<string, string>,
    execPath = process.execPath,
  ): Promise<Child<Ready>> {
    const all = { ...process.env, ...env };
    const child = fork(this.file, { env: all, execPath, stdio: 'pipe' });
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
    await Promise.all([...this.children].map(end));
    this.children.clear();
  }
}

let fingerprint: string | undefined;

/** Of everything that a program can be made of. */
function fingerprintOfSources(): string {
  if (fingerprint !== undefined) return fingerprint;
  const hash = createHash('sha256');
  for (const folder of ['src', 'test']) {
    const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((each) => each.endsWith('.ts')).sort())
      hash.update(`${folder}/${name}\0`).update(readFileSync(join(ROOT, folder, name)));
  }
  return (fingerprint = hash.digest('hex').slice(0, 16));
}

/** What was made of other sources, and that no run has used for some time. */
function removeOld(name: string): void {
  const hourAgoMs = Date.now() - 3_600_000;
  for (const each of readdirSync(OUTPUT).filter((file) => file.endsWith(`-${name}`))) {
    const file = join(OUTPUT, each);
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity };
    if (mtimeMs < hourAgoMs) rmSync(file, { force: true });
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
