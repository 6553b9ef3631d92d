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

/**
 * Unpacks the tarball into a project that has the required peers and nothing else. The files are
 * real, not linked: from their place no other package can be found.
 */
export function unpack({ folder, tarball }: Packed): string {
  const project = join(folder, 'project');
  const home = join(project, 'node_modules', 'nestjs-idempotency');
  mkdirSync(home, { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', home], { cwd: folder });
  for (const peer of ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs']) {
    const link = join(project, 'node_modules', peer);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', peer), link, 'junction');
  }
  return project;
}
