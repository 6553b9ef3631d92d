import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The shop as a process of its own, as a person would start it. */
export interface ShopProcess {
  readonly url: string;
  readonly process: ChildProcess;
  /** Asks it to end and resolves with its exit code; `null` when it had to be killed. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts the compiled shop on a free port and resolves when it is ready.
 *
 * @param main the file to run
 * @throws Error when it ends before that, with what it wrote to its error output
 */
export async function startShop(main: string, env: NodeJS.ProcessEnv): Promise<ShopProcess> {
  const child = spawn(process.execPath, ['--enable-source-maps', main], {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => void errors.push(chunk));

  const url = await Promise.race([announcedUrl(child.stdout), exited]);
  if (typeof url !== 'string')
    throw new Error(`The shop ended with code ${url}.\n${Buffer.concat(errors).toString()}`);

  return {
    url,
    process: child,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}

/** The address in the line that the shop prints when it is ready. */
async function announcedUrl(output: NodeJS.ReadableStream): Promise<string | undefined> {
  for await (const line of createInterface({ input: output })) {
    const url = /https?:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  return undefined;
}
