// A copy of the working tree that may be broken.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';

/** Which esbuild can tell to be well formed. */
const CODE = new Set(['.ts', '.mjs']);
/** Decorators as Nest has them. */
const AS_BUILT = { compilerOptions: { experimentalDecorators: true } };
/** What is made of some files. Everything else the tests read as it is. */
const MADE = [
  { of: /\.(lua|sql)$/, by: ['scripts/embed-scripts.mjs'] },
  {
    of: /^src\/client\//,
    by: [
      '--input-type=module',
      '-e',
      "import { bundleClient } from './scripts/setup.mjs'; await bundleClient();",
    ],
  },
];

/** The fault cannot be applied as it is written: it says nothing about the tests. */
export class UnusableFaultError extends Error {
  name = 'UnusableFaultError';
}

/** Every file as it is, committed or not; the dependencies are shared, and never written. */
export class Copy {
  static make(root) {
    const base = realpathSync(mkdtempSync(join(tmpdir(), 'sabotage-')));
    const copy = new Copy(base);
    const { folder } = copy;
    try {
      // Servers of the tests may run as other users.
      chmodSync(base, 0o755);
      mkdirSync(folder);
      mkdirSync(copy.temporary);
      chmodSync(copy.temporary, 0o1777);
      for (const file of filesOf(root)) {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        copyFileSync(join(root, file), join(folder, file));
      }
      symlinkSync(realpathSync(join(root, 'node_modules')), join(folder, 'node_modules'), 'dir');
    } catch (error) {
      copy.remove();
      throw error;
    }
    return copy;
  }

  constructor(base) {
    this.base = base;
    this.folder = join(base, 'project');
    /** Where tests put what they leave behind when they are ended. */
    this.temporary = join(base, 'tmp');
  }

  remove() {
    rmSync(this.base, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Breaks one file while `work` runs. */
  async with(fault, work) {
    const file = join(this.folder, fault.file);
    if (!existsSync(file)) throw new UnusableFaultError(`There is no file ${fault.file}.`);
    const original = readFileSync(file, 'utf8');
    const count = original.split(fault.find).length - 1;
    if (count !== 1)
      throw new UnusableFaultError(`${fault.file} has the text ${count} times, not once.`);
    writeFileSync(
      file,
      original.replace(fault.find, () => fault.put),
    );
    try {
      await this.prepare(fault.file);
      return await work();
    } finally {
      // The copy may be gone already, when the run was interrupted.
      if (existsSync(file)) {
        writeFileSync(file, original);
        this.makeAnew(fault.file);
      }
    }
  }

  async prepare(file) {
    if (CODE.has(extname(file))) {
      const { transform } = await import('esbuild');
      const source = readFileSync(join(this.folder, file), 'utf8');
      try {
        await transform(source, { loader: 'ts', logLevel: 'silent', tsconfigRaw: AS_BUILT });
      } catch (error) {
        throw new UnusableFaultError(`${file} is not well formed any more: ${error.message}`);
      }
    }
    this.makeAnew(file);
  }

  /** Makes what is made of a file, or of all files. */
  makeAnew(file) {
    for (const { of, by } of MADE) {
      if (file !== undefined && !of.test(file)) continue;
      const { status, stderr } = spawnSync(process.execPath, by, {
        cwd: this.folder,
        encoding: 'utf8',
      });
      if (status !== 0) throw new UnusableFaultError(`${by[0]} fails: ${stderr}`);
    }
  }
}

function filesOf(root) {
  const { status, stdout, stderr } = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  if (status !== 0) throw new Error(`The files of the project cannot be listed: ${stderr}`);
  return stdout.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}
