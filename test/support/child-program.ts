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
import { type ProgramPackages, programPackages } from './servers/lender-client.js';

const ROOT = resolve(import.meta.dirname, '../..');
/** Inside the project, so that packages are found. */
export const OUTPUT = join(ROOT, 'node_modules/.cache/test-programs');

/** As in Jest's configuration: esbuild knows no metadata of decorators. */
const withMetadata: Plugin = {
  name: 'decorator metadata',
  setup({ onLoad }) {
    onLoad({ filter: /\/(src|test)\/.*\.ts$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), {
        filename: path,
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

/**
 * Takes the packages that programs have in one file each.
 *
 * @param others is given what would bring another copy of one of them
 */
export function withPackages({ folder, files }: ProgramPackages, others: Set<string>): Plugin {
  const isBundled = (name: string): boolean => Object.hasOwn(files, name);
  return {
    name: 'packages',
    setup({ onResolve }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === 'entry-point' || /^(node:|nestjs-idempotency)/.test(path)) return undefined;
        if (isBundled(path)) return { path: `../${folder}/${files[path]}`, external: true };
        const [name] = /^(@[^/]+\/)?[^/]+/.exec(path)!;
        const imported = isBundled(name) ? [name] : neededBy(name).filter(isBundled);
        if (imported.some((each) => /nest|typeorm/.test(each))) others.add(path);
        return { path, external: true };
      });
    },
  };
}

/** What an installed package imports, as far as it says so. */
function neededBy(name: string): string[] {
  const file = join(ROOT, 'node_modules', name, 'package.json');
  if (!existsSync(file)) return [];
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Record<
    string,
    object | undefined
  >;
  return Object.keys({ ...dependencies, ...peerDependencies });
}

/** A program beside the tests, compiled with the library as it stands in `src`. */
export class ChildProgram {
  private readonly children = new Set<ChildProcess>();

  /** @param file where it was compiled to */
  private constructor(readonly file: string) {}

  /**
   * Compiles it, unless that was done before from the same sources: by another test, or another run.
   *
   * @param source the program's path, from the root of the project
   */
  static async compile(source: string): Promise<ChildProgram> {
    const packages = await programPackages();
    const name = source.replaceAll(/\W+/g, '-');
    const folder = join(OUTPUT, `${fingerprintOfSources(packages)}-${name}`);
    const program = new ChildProgram(join(folder, 'main.mjs'));
    await makeFolder(folder, name, async (draft) => {
      const others = new Set<string>();
      await bundle(source, draft, [withPackages(packages, others), withMetadata]);
      // With a package that is not among them, all are taken from where they are.
      if (others.size > 0) await bundle(source, draft, [withMetadata], 'external');
    });
    return program;
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

async function bundle(
  source: string,
  folder: string,
  plugins: readonly Plugin[],
  packages?: 'external',
): Promise<void> {
  await build({
    entryPoints: [{ in: join(ROOT, source), out: 'main' }],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What is imported late is loaded late.
    splitting: true,
    platform: 'node',
    format: 'esm',
    keepNames: true,
    logLevel: 'error',
    // It does not outlive the test that started it, however that ends.
    banner: { js: "globalThis.ending ??= process.once('disconnect', () => process.exit(1));" },
    plugins: [...plugins],
    packages,
    alias: {
      'nestjs-idempotency': join(ROOT, 'src/index.ts'),
      'nestjs-idempotency/bullmq': join(ROOT, 'src/bullmq/index.ts'),
      'nestjs-idempotency/contracts': join(ROOT, 'src/contracts/index.ts'),
      'nestjs-idempotency/redis': join(ROOT, 'src/stores/redis/index.ts'),
      'nestjs-idempotency/sql': join(ROOT, 'src/stores/sql/index.ts'),
      'nestjs-idempotency/typeorm': join(ROOT, 'src/stores/typeorm/index.ts'),
    },
  });
}

/**
 * Makes the folder of a program, unless it is there already.
 *
 * @param folder inside of {@link OUTPUT}; its name ends with `name`
 */
export async function makeFolder(
  folder: string,
  name: string,
  make: (draft: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) {
    const now = new Date();
    utimesSync(folder, now, now);
    return;
  }
  mkdirSync(OUTPUT, { recursive: true });
  removeOld(name);
  // Under a name of its own first: nobody starts a program that is half written.
  const draft = join(OUTPUT, `${process.pid}-${name}`);
  await make(draft);
  try {
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Another worker was faster.
    if (!existsSync(folder)) throw error;
  }
}

let fingerprint: string | undefined;

/** Of everything that a program can be made of. */
function fingerprintOfSources(packages: ProgramPackages): string {
  if (fingerprint !== undefined) return fingerprint;
  const hash = createHash('sha256').update(packages.folder);
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
    if (mtimeMs < hourAgoMs) rmSync(file, { recursive: true, force: true });
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
