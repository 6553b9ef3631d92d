import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Summary, summarize } from './statistics.js';

const run = promisify(execFile);

const CONNECTIONS = 50;
const REQUESTS = 50_000;

/** `SET`s per second that the server takes from the program made for measuring it. */
export async function redisBenchmark(port: number, rounds: number): Promise<Summary> {
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const args = ['-p', port, '-c', CONNECTIONS, '-n', REQUESTS, '-t', 'set', '--csv'];
    const { stdout } = await run('redis-benchmark', args.map(String));
    rates.push(Number(/^"SET","([\d.]+)"/m.exec(stdout)?.[1]));
  }
  return summarize(rates);
}
