import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, ChildProgram, end } from '../support/child-program.js';
import type { Ready, Settings } from './shop.js';

/** A place for a process: when one is killed the next one takes it. */
export class Slot {
  private child: Child<Ready> | undefined;
  private isOver = false;

  constructor(
    private readonly program: ChildProgram,
    private readonly settings: Settings,
  ) {}

  /** Where the process listens, while there is one. */
  get url(): string | undefined {
    return this.child && `http://127.0.0.1:${this.child.ready.port}/payments`;
  }

  /** Tries again for as long as the server is away. */
  async start(): Promise<void> {
    while (!this.isOver) {
      try {
        const env = { SOAK_SETTINGS: JSON.stringify(this.settings) };
        this.child = await this.program.start<Ready>(env);
        return;
      } catch {
        await sleep(100);
      }
    }
  }

  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child !== undefined) await end(child.process);
  }

  async pause(ms: number): Promise<void> {
    const paused = this.child?.process;
    paused?.kill('SIGSTOP');
    await sleep(ms);
    paused?.kill('SIGCONT');
  }

  /** What it said about errors that nobody handled; nothing when it was killed. */
  get crash(): string | undefined {
    return this.child?.process.exitCode == null ? undefined : this.child.errors();
  }

  close(): void {
    this.isOver = true;
  }
}
