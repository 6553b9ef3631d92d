import { readFileSync } from 'node:fs';
import { createPool } from 'mysql2/promise';
import { sqlMigration } from 'nestjs-idempotency/sql';
import { Pool } from 'pg';
import { type ExitCode } from '../../src/cli/command.js';
import { main } from '../../src/cli/main.js';
import { sharedMariadb, sharedPostgres, type SharedServer } from '../support/servers/shared.js';

interface Outcome {
  readonly exitCode: ExitCode;
  readonly printed: string;
  readonly complained: string;
}

async function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  folder = process.cwd(),
): Promise<Outcome> {
  const printed: string[] = [];
  const complained: string[] = [];
  const exitCode = await main(args, {
    environment,
    folder,
    print: (line) => void printed.push(line),
    complain: (line) => void complained.push(line),
  });
  return { exitCode, printed: printed.join('\n'), complained: complained.join('\n') };
}

describe.each([
  ['PostgreSQL', sharedPostgres],
  ['MariaDB', sharedMariadb],
])('nestjs-idempotency on %s', (_name, start: () => Promise<SharedServer>) => {
  let server: SharedServer;

  beforeAll(async () => {
    server = await start();
  });

  afterAll(() => server?.stop());

  it('creates what is missing, once, and tells in its exit code whether it is there', async () => {
    const environment = { DATABASE_URL: server.url };
    const limits = ['--limits', '--url', server.url];

    expect(await run(['status'], environment)).toMatchObject({ exitCode: 3 });
    expect(await run(['migrate'], environment)).toMatchObject({
      exitCode: 0,
      printed: 'Created the table.',
    });
    expect(await run(['status'], environment)).toMatchObject({ exitCode: 0 });
    expect(await run(['status', ...limits])).toMatchObject({
      exitCode: 3,
      printed: expect.stringContaining('missing  the columns for limits') as string,
    });
    expect(await run(['migrate', ...limits])).toMatchObject({
      exitCode: 0,
      printed: 'Created the columns for limits.',
    });
    expect(await run(['migrate', ...limits])).toMatchObject({
      exitCode: 0,
      printed: expect.stringContaining('Nothing to do') as string,
    });
    expect(await run(['status', ...limits])).toMatchObject({ exitCode: 0 });
  });

  it('adds what the table of an earlier release has not', async () => {
    const args = ['--table', 'earlier', '--url', server.url];
    await run(['migrate', ...args]);
    const dialect = server.url.startsWith('postgres') ? 'postgres' : 'mysql';
    await execute(server.url, sqlMigration(dialect, { table: 'earlier', story: 'only' }).down);
    expect(await run(['status', ...args])).toMatchObject({ exitCode: 3 });
    expect(await run(['migrate', ...args])).toMatchObject({
      exitCode: 0,
      printed: "Created the columns of the records' story.",
    });
    expect(await run(['status', ...args])).toMatchObject({ exitCode: 0 });
  });

  it('takes several deployments at once', async () => {
    const args = ['migrate', '--table', 'at_once', '--url', server.url];
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => run(args)));
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
    expect(await run(['status', ...args.slice(1)])).toMatchObject({ exitCode: 0 });
  });
});

describe('nestjs-idempotency', () => {
  it.each(['postgres', 'mysql', 'sqlite'])(
    'prints the statements of the files in the package: %s',
    async (dialect) => {
      for (const [args, file] of [
        [[], `${dialect}.sql`],
        [['--limits-only'], `${dialect}.limits.sql`],
      ] as const) {
        const { exitCode, printed } = await run(['sql', '--dialect', dialect, ...args]);
        expect(exitCode).toBe(0);
        expect(bare(printed)).toBe(bare(readFileSync(`migrations/${file}`, 'utf8')));
      }
    },
  );

  it('prints what undoes them', async () => {
    const { printed } = await run(['sql', '--dialect', 'postgres', '--table', 'paid', '--down']);
    expect(printed).toMatch(/DROP TABLE .*"paid"/);
  });

  it.each<[string, string[], RegExp]>([
    ['an unknown command', ['mend'], /no command "mend"/],
    ['an unknown option', ['migrate', '--force'], /--force/],
    ['no database', ['migrate'], /DATABASE_URL/],
    ['another database', ['migrate', '--url', 'oracle://app:secret@db'], /postgres:\/\/, mysql/],
    ['SQLite', ['migrate', '--url', 'sqlite:shop.db'], /sql --dialect sqlite/],
    ['a bad name', ['status', '--table', 'a b', '--url', 'postgres://db'], /--table/],
    ['no dialect', ['sql'], /--dialect/],
    ['an unknown dialect', ['sql', '--dialect', 'oracle'], /postgres, mysql or sqlite/],
  ])('says what to pass instead of %s', async (_name, args, complaint) => {
    const { exitCode, complained, printed } = await run(args);
    expect([exitCode, printed]).toEqual([2, '']);
    expect(complained).toMatch(complaint);
    expect(complained).not.toContain('secret');
  });

  it('needs the driver of the application', async () => {
    const { exitCode, complained } = await run(['status'], { DATABASE_URL: 'postgres://db' }, '/');
    expect(exitCode).toBe(2);
    expect(complained).toContain('has no pg');
  });

  it('fails where the database cannot be reached', async () => {
    const { exitCode } = await run(['status', '--url', 'postgres://127.0.0.1:1/shop']);
    expect(exitCode).toBe(1);
  });

  it('explains itself', async () => {
    for (const args of [[], ['help'], ['--help']])
      expect(await run(args)).toMatchObject({ exitCode: 0, complained: '' });
    expect((await run(['migrate', '--help'])).printed).toContain('--url <url>');
  });
});

async function execute(url: string, statements: readonly string[]): Promise<void> {
  const pool: { query(text: string): Promise<unknown>; end(): Promise<void> } = url.startsWith(
    'postgres',
  )
    ? new Pool({ connectionString: url })
    : createPool({ uri: url.replace(/^mariadb:/, 'mysql:') });
  for (const statement of statements) await pool.query(statement);
  await pool.end();
}

/** Without comments and spaces. */
function bare(statements: string): string {
  return statements.replace(/--.*$/gm, '').replace(/\s+/g, ' ').replaceAll(' ;', ';').trim();
}
