import { setTimeout as sleep } from 'node:timers/promises';
import { recordId } from '../../src/keys/record-id.js';
import { type Child, ChildProgram, end } from '../support/child-program.js';
import type { Payment, Unrecorded } from './history.js';
import { type Failed, type Ready, SCOPE, type Settings } from './shop.js';

/** A place for a process: when one is killed the next one takes it. */
export class Slot {
  private child: Child<Ready> | undefined;
  private isOver = false;

  constructor(
    private readonly program: ChildProgram,
    private readonly settings: Settings,
    private readonly failed: (event: Failed) => void,
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
        this.child.process.on('message', (event: Failed) => this.failed(event));
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

/** Tells which operation a process speaks of: it knows no more than the digest. */
export class Digests {
  private readonly operations = new Map<string, Pick<Payment, 'principal' | 'key'>>();

  add({ principal, key }: Payment): void {
    this.operations.set(recordId(SCOPE, principal, key), { principal, key });
  }

  read({ id, attempt }: Failed): Unrecorded[] {
    const operation = this.operations.get(id);
    return operation === undefined ? [] : [{ ...operation, attempt }];
  }
}
