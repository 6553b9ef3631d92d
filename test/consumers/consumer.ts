import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { linkPackages, pack, run, unpackInto, type Packed } from '../package/packed.js';

const INSTALL_TIMEOUT_MS = 10 * 60_000;
const STEP_TIMEOUT_MS = 3 * 60_000;
const START_TIMEOUT_MS = 120_000;

/** The environment as a user's shell has it: nothing of this run of npm and Jest reaches it. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const foreign =
    /^(NODE_OPTIONS|NODE_ENV|JEST_.*|INIT_CWD|npm_(package|lifecycle)_.*|npm_config_local_prefix)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/**
 * How a project comes to its packages: from npm, or from those that this project has, which takes
 * neither a network nor time. The packed library is unpacked all the same.
 */
export type Supply = 'installed' | 'linked';

/** A fresh project made from a template, with the packed library in it. */
export class Consumer {
  private constructor(
    private readonly packed: Packed,
    readonly folder: string,
  ) {}

  static make(template: string, supply: Supply): Consumer {
    const packed = pack();
    const folder = join(packed.folder, template);
    cpSync(join(import.meta.dirname, 'templates', template), folder, { recursive: true });
    const consumer = new Consumer(packed, folder);
    if (supply === 'linked') consumer.link();
    else consumer.install();
    return consumer;
  }

  private install(): void {
    copyFileSync(this.packed.tarball, join(this.folder, 'nestjs-idempotency.tgz'));
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], {
      cwd: this.folder,
      env: plainEnvironment(),
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
  }

  /** What the template asks for and nothing else, so that whatever it lacks is missed. */
  private link(): void {
    const manifest = JSON.parse(readFileSync(join(this.folder, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    linkPackages(this.folder, [...names.filter((name) => name !== 'nestjs-idempotency'), '.bin']);
    unpackInto(this.folder, this.packed);
  }

  script(name: string): string {
    return run('npm', ['run', name], {
      cwd: this.folder,
      env: plainEnvironment(),
      timeoutMs: STEP_TIMEOUT_MS,
    });
  }

  /** Starts the compiled app and resolves with its address once it listens. */
  async start(): Promise<{ url: string; stop(): Promise<void> }> {
    const child = spawn(process.execPath, ['dist/main.js'], {
      cwd: this.folder,
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill();
      await once(child, 'exit');
    };
    try {
      return { url: await listening(child), stop };
    } catch (error) {
      await stop();
      throw error;
    }
  }

  remove(): void {
    this.packed.remove();
  }
}

function listening(child: ChildProcess): Promise<string> {
  let printed = '';
  child.stderr!.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new Error(`The app ${reason}:\n${printed}`));
    const timer = setTimeout(() => fail('did not listen in time'), START_TIMEOUT_MS);
    createInterface(child.stdout!).on('line', (line) => {
      printed += `${line}\n`;
      const url = /^listening on (\S+)$/.exec(line)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
    child.on('exit', (code) => {
      clearTimeout(timer);
      fail(`ended with ${String(code)}`);
    });
  });
}

/** What every consumer must be able to do with the packed library. */
export function describeConsumer(template: string, supply: Supply): void {
  describe(`a fresh ${template} project, with its packages ${supply}`, () => {
    let consumer: Consumer | undefined;

    beforeAll(() => {
      consumer = Consumer.make(template, supply);
    }, INSTALL_TIMEOUT_MS);
    afterAll(() => consumer?.remove());

    it(
      'type-checks, declarations of its dependencies included',
      () => {
        expect(() => consumer!.script('typecheck')).not.toThrow();
      },
      STEP_TIMEOUT_MS,
    );

    it(
      'tests a protected endpoint in its own Jest',
      () => {
        expect(() => consumer!.script('test')).not.toThrow();
      },
      STEP_TIMEOUT_MS,
    );

    it(
      'serves a protected endpoint when compiled and started with Node',
      async () => {
        consumer!.script('build');
        const app = await consumer!.start();
        try {
          const pay = () =>
            fetch(`${app.url}/payments`, {
              method: 'POST',
              headers: { 'content-type': 'application/json', 'idempotency-key': '"payment-1"' },
              body: JSON.stringify({ orderId: 'order-1', amount: 42 }),
            });
          const first = await pay();
          const second = await pay();

          expect(first.status).toBe(201);
          expect(first.headers.get('idempotent-replayed')).toBeNull();
          expect(second.status).toBe(201);
          expect(second.headers.get('idempotent-replayed')).toBe('true');
          expect(await second.text()).toBe(await first.text());
          const executions = await fetch(`${app.url}/payments/executions`);
          expect(await executions.json()).toEqual({ executions: 1 });
        } finally {
          await app.stop();
        }
      },
      STEP_TIMEOUT_MS + 2 * START_TIMEOUT_MS,
    );
  });
}
