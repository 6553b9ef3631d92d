import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..', '..');

/** Runs a program to its end and returns what it printed; its errors are part of the failure. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd: string; timeoutMs?: number; env?: NodeJS.ProcessEnv },
): string {
  try {
    return execFileSync(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      encoding: 'utf8',
      timeout: options.timeoutMs ?? 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: program === 'npm' && process.platform === 'win32',
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout ?? ''}\n${stderr ?? ''}`, {
      cause: error,
    });
  }
}

export interface Packed {
  /** A temporary folder of its own, with the tarball in it. */
  readonly folder: string;
  readonly tarball: string;
  /** Paths inside the tarball, sorted. */
  readonly files: readonly string[];
  remove(): void;
}

/** Packs what is built, exactly as `npm publish` would. */
export function pack(): Packed {
  for (const entry of ['dist/esm/index.js', 'dist/cjs/index.js']) {
    if (!existsSync(join(root, entry))) {
      throw new Error(`${entry} is missing: run "npm run build" first ("npm test" does).`);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-idempotency-'));
  const output = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  });
  const [packed] = JSON.parse(output) as [{ filename: string; files: { path: string }[] }];
  return {
    folder,
    tarball: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path).sort(),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** Unpacks the tarball to where npm would put it. The files are real, not linked. */
export function unpackInto(project: string, { folder, tarball }: Packed): void {
  const home = join(project, 'node_modules', 'nestjs-idempotency');
  mkdirSync(home, { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', home], { cwd: folder });
}

/** Gives a project some of the packages that this one has. */
export function linkPackages(project: string, names: readonly string[]): void {
  for (const name of names) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link, 'junction');
  }
}

/**
 * A project that has the library, its required peers and nothing else: from the place of the
 * unpacked files no other package can be found.
 */
export function unpack(packed: Packed): string {
  const project = join(packed.folder, 'project');
  unpackInto(project, packed);
  linkPackages(project, ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs']);
  return project;
}
