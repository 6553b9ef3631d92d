import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMariadb } from '../../support/servers/mariadb.js';
import { startPostgres } from '../../support/servers/postgres.js';
import { sharedRedis } from '../../support/servers/shared.js';

it('goes on for ever, with all that tests have', async () => {
  const redis = await sharedRedis();
  const [postgres, mariadb] = await Promise.all([startPostgres(), startMariadb()]);
  const folder = mkdtempSync(join(tmpdir(), 'idempotency-probe-'));
  const beside = spawn('sleep', ['1000'], { cwd: folder, detached: true });
  writeFileSync(
    process.env.PROBE_FILE!,
    JSON.stringify({
      ports: [redis.port, postgres.port, mariadb.port],
      pids: [
        process.pid,
        process.ppid,
        beside.pid,
        ...postgres.processes(),
        ...mariadb.processes(),
      ],
    }),
  );
  await new Promise(() => undefined);
});

it('comes after', () => {
  expect(process.env.PROBE_FILE).toBeDefined();
});
