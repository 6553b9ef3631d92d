import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** Its input ends when the process that started it does, in whatever way. */
const WATCH = `
tree() { echo "$1"; for child in $(pgrep -P "$1"); do tree "$child"; done; }
read -r _
kill -KILL $(tree "$1")
shift
rm -rf "$@"
`;

/**
 * Lets no server outlive this process, killed or not. Jest gives its tests a `process` of their
 * own, which hears of no end: a process beside it has to watch.
 */
export function endWithThisProcess(server: ChildProcess, ...paths: string[]): void {
  if (server.pid === undefined) return;
  const watcher = spawn('sh', ['-c', WATCH, 'watch', String(server.pid), ...paths], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.unref();
  (watcher.stdin as Socket).unref();
  server.once('exit', () => watcher.kill('SIGKILL'));
}
