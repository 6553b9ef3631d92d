import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { HttpStatus, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { ShopConfig } from '../../shop/setup/config.js';
import { ProblemException } from '../../shop/common/problems/problems.js';
import type { TimelineEntry } from '../timeline/timeline-entry.js';
import { Timeline } from '../timeline/timeline.js';
import { workerEnvironment } from './worker-environment.js';
import type { WorkerMessage } from './worker-message.js';

const PROGRAM = fileURLToPath(new URL('worker-process.js', import.meta.url));

/** How long a worker may take to start, in milliseconds. It takes seconds unless the machine is busy. */
const START_MS = 60_000;

export interface WorkerState {
  readonly state: 'none' | 'starting' | 'running';
  readonly url?: string;
}

/** Another process with the same records, there to be killed. One at a time. */
@Injectable()
export class Worker implements OnApplicationShutdown {
  private process: ChildProcess | undefined;
  private url: string | undefined;
  private started: Promise<void> | undefined;
  /** What it has begun and not ended: its death is the end of that. */
  private readonly open = new Set<string>();

  constructor(
    private readonly config: ShopConfig,
    private readonly databaseUrl: string,
    private readonly timeline: Timeline,
  ) {}

  get state(): WorkerState {
    if (this.url !== undefined) return { state: 'running', url: this.url };
    return { state: this.process ? 'starting' : 'none' };
  }

  /** Resolves when it is ready; at once when it was started before. */
  async start(): Promise<WorkerState> {
    if (this.config.records.store === 'memory')
      throw new ProblemException(
        HttpStatus.NOT_IMPLEMENTED,
        'Records are in the memory of this process (STORE=memory), so a worker could not see them.',
      );
    this.started ??= this.spawn();
    await this.started;
    return this.state;
  }

  /** `kill -9`: it cannot finish anything, or say goodbye. */
  async kill(): Promise<WorkerState> {
    const { process } = this;
    if (process) {
      const exited = once(process, 'exit');
      process.kill('SIGKILL');
      await exited;
    }
    return this.state;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.kill();
  }

  private async spawn(): Promise<void> {
    const child = spawn(process.execPath, ['--enable-source-maps', PROGRAM], {
      env: { ...process.env, ...workerEnvironment(this.config, this.databaseUrl) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.process = child;
    child.once('exit', () => this.ended());
    const tooLate = setTimeout(() => child.kill('SIGKILL'), START_MS);
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.on('message', (message: WorkerMessage) => {
        if ('entry' in message) return this.relay(message.entry);
        this.url = message.url;
        resolve();
      });
    });
    clearTimeout(tooLate);
    if (this.url === undefined)
      throw new ProblemException(HttpStatus.SERVICE_UNAVAILABLE, 'The worker did not start.');
  }

  private relay(entry: TimelineEntry): void {
    if (entry.entry === 'started') this.open.add(entry.call);
    if (entry.entry === 'ended') this.open.delete(entry.call);
    this.timeline.add(entry.entry === 'started' ? { ...entry, isWorkers: true } : entry);
  }

  private ended(): void {
    this.process = this.url = this.started = undefined;
    for (const call of this.open) this.timeline.end(call, { how: 'killed' });
    this.open.clear();
  }
}
