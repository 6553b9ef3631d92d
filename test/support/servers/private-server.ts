import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chownSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { preparedData, testFile } from './lender-client.js';
import { descendantsOf } from './process-tree.js';
import { endWithThisProcess } from './watcher.js';

const run = promisify(execFile);

/** How to run one kind of server. */
export interface ServerRecipe {
  readonly name: string;
  /**
   * Puts into a folder what takes long to make and is the same for all servers of this name. Within a
   * run of the tests it is made once, and each server starts with a copy.
   */
  readonly makeData?: (folder: string) => Promise<void>;
  /** Prepares the folder of one server. */
  readonly prepare?: (folder: string) => Promise<void>;
  readonly command: (folder: string, port: number) => readonly [program: string, ...args: string[]];
  /** Variables that it finds beside those of this process. */
  readonly environment?: (folder: string, port: number) => Readonly<Record<string, string>>;
  /** Whose processes they are; some servers refuse to be root's. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Rejects until the server answers. */
  readonly ping: (port: number) => Promise<void>;
}

/** Below the time that a hook has, so that the reason is told. */
const STARTS_WITHIN_MS = 45_000;
const LAST_LINES = 4_000;

/**
 * A server of this test run alone: on a free port, in a temporary folder, gone afterwards, however
 * the tests end.
 */
export class PrivateServer {
  private child: ChildProcess | undefined;
  /** All that it writes; beside its folder, where who watches the run finds it. */
  private readonly log: string;

  private constructor(
    private readonly recipe: ServerRecipe,
    readonly folder: string,
    readonly port: number,
  ) {
    this.log = `${folder}.log`;
    writeFileSync(this.log, `${testFile() ?? 'shared'}\n`);
  }

  static start(recipe: ServerRecipe, port?: number): Promise<PrivateServer> {
    return port === undefined
      ? onFreePorts(async () => PrivateServer.startAt(recipe, await freePort()))
      : PrivateServer.startAt(recipe, port);
  }

  private static async startAt(recipe: ServerRecipe, port: number): Promise<PrivateServer> {
    const folder = mkdtempSync(join(tmpdir(), `idempotency-${recipe.name}-`));
    const server = new PrivateServer(recipe, folder, port);
    try {
      await server.prepare();
      await server.run();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** The process that was started, and all that run because of it. */
  processes(): number[] {
    const pid = this.child?.pid;
    return pid === undefined ? [] : [pid, ...descendantsOf(pid)];
  }

  /** As a power cut would. The data folder stays. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    this.child = undefined;
    const ended =
      child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    signal(child, 'SIGKILL');
    await ended;
  }

  /** Stands still without letting go of its connections. */
  pause(): void {
    if (this.child) signal(this.child, 'SIGSTOP');
  }

  resume(): void {
    if (this.child) signal(this.child, 'SIGCONT');
  }

  /** Runs again on the same port and data. */
  async restart(): Promise<void> {
    await this.kill();
    await this.run();
  }

  async stop(): Promise<void> {
    await this.kill();
    for (const path of [this.folder, this.log]) rmSync(path, { recursive: true, force: true });
  }

  private async prepare(): Promise<void> {
    const { recipe, folder } = this;
    if (recipe.user) chownSync(folder, recipe.user.uid, recipe.user.gid);
    const prepared = recipe.makeData && (await preparedData(recipe.name));
    if (prepared === undefined) await recipe.makeData?.(folder);
    else await run('cp', ['-a', `${prepared}/.`, folder]);
    await recipe.prepare?.(folder);
  }

  private async run(): Promise<void> {
    const { recipe, folder, port } = this;
    const [program, ...args] = recipe.command(folder, port);
    const output = openSync(this.log, 'a');
    const child = spawn(program, args, {
      ...recipe.user,
      env: { ...process.env, ...recipe.environment?.(folder, port) },
      stdio: ['ignore', output, output],
      cwd: folder,
    });
    closeSync(output);
    child.on('error', (error) => appendFileSync(this.log, String(error)));
    this.child = child;
    endWithThisProcess(child, folder, this.log);
    const giveUpAt = Date.now() + STARTS_WITHIN_MS;
    for (;;) {
      try {
        return await recipe.ping(port);
      } catch (error) {
        if (child.pid === undefined || child.exitCode !== null || Date.now() > giveUpAt) {
          const output = readFileSync(this.log, 'utf8').slice(-LAST_LINES);
          throw new Error(`${recipe.name} did not start: ${String(error)}\n${output}`, {
            cause: error,
          });
        }
      }
      await sleep(50);
    }
  }
}

/**
 * To the process and those below it: PostgreSQL has one for each connection, and RabbitMQ has
 * helpers with helpers.
 */
function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  // Standing still, it starts no other while they are counted.
  if (name !== 'SIGCONT') send(pid, 'SIGSTOP');
  for (const child of descendantsOf(pid)) send(child, name);
  send(pid, name);
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** Below those that systems give to outgoing connections, which may take one at any moment. */
const PORTS = { first: 10_000, count: 22_000 };

const MOST_TRIES = 5;

/** Starts again, elsewhere, when somebody was faster at a port that had been free. */
export async function onFreePorts<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start();
    } catch (error) {
      if (tries === MOST_TRIES || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + randomInt(PORTS.count);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
