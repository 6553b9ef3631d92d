import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Report } from './server/main.js';
import type { Platform, Store, Subject } from './subjects.js';

const MAIN = fileURLToPath(new URL('./server/main.js', import.meta.url));

/** One subject on one platform and store, in a process of its own. */
export class ServerProcess {
  private constructor(
    readonly subject: Subject,
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  /**
   * @param storeUrl of the server that keeps the records, if there is one
   * @throws Error when the server ends before it listens
   */
  static async start(
    platform: Platform,
    store: Store,
    subject: Subject,
    storeUrl = '',
  ): Promise<ServerProcess> {
    const child = fork(MAIN, [platform, store, subject, storeUrl], {
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const ready = await Promise.race([answer(child), once(child, 'exit').then(() => undefined)]);
    if (ready === undefined || !('port' in ready))
      throw new Error(`The server for ${platform}, ${store}, ${subject} did not start.`);
    return new ServerProcess(subject, `http://127.0.0.1:${ready.port}/orders`, child);
  }

  /** Processor time since it was started, all threads, in microseconds. */
  async cpuMicros(): Promise<number> {
    const answered = answer(this.child);
    this.child.send('cpu');
    const usage = await answered;
    return 'cpuMicros' in usage ? usage.cpuMicros : NaN;
  }

  async stop(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

async function answer(child: ChildProcess): Promise<Report> {
  const [report] = (await once(child, 'message')) as [Report];
  return report;
}
