import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How long a shop may take to open, in milliseconds. It takes seconds unless the machine is busy. */
export const START_MS = 120_000;

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
 * @throws Error when it ends before that or is not ready within {@link START_MS}, with what it wrote to its error output
 */
export async function startShop(main: string, env: NodeJS.ProcessEnv): Promise<ShopProcess> {
  const child = spawn(process.execPath, ['--enable-source-maps', main], {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => void errors.push(chunk));

  const tooLate = setTimeout(() => child.kill('SIGKILL'), START_MS);
  const url = await announcedUrl(child.stdout);
  clearTimeout(tooLate);
  if (url === undefined)
    throw new Error(
      `The shop ended with code ${await exited}.\n${Buffer.concat(errors).toString()}`,
    );

  return {
    url,
    process: child,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}

/** The address in the line that the shop prints when it is ready; none when it ends first. */
async function announcedUrl(output: NodeJS.ReadableStream): Promise<string | undefined> {
  for await (const line of createInterface({ input: output })) {
    const url = /https?:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  return undefined;
}
