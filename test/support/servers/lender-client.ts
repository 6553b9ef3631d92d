import { request } from 'node:http';

/** What the process that runs the tests lends: see `Lender`. */
export type LentKind = 'postgres' | 'mariadb' | 'redis' | 'rabbitmq' | 'nats';

export interface Lent {
  readonly id: number;
  readonly url: string;
  readonly port: number;
  /** The name of the database, the number of Redis' one, the virtual host; none for NATS. */
  readonly space: string;
}

/** The test file that is running, where a test is what asks. */
export function testFile(): string | undefined {
  return typeof expect === 'undefined' ? undefined : expect.getState().testPath;
}

export function borrow(kind: LentKind): Promise<Lent> {
  return ask(`/borrow?${new URLSearchParams({ kind, for: testFile() ?? '' }).toString()}`);
}

export async function giveBack({ id }: Lent): Promise<void> {
  await ask(`/give-back?id=${id}`);
}

/** The folder with data that a new server of this kind begins with, made once for all. */
export async function preparedData(kind: string): Promise<string | undefined> {
  if (process.env.IDEMPOTENCY_TEST_LENDER === undefined) return undefined;
  const { folder } = await ask<{ folder: string }>(`/prepared?kind=${kind}`);
  return folder;
}

/** Packages in one file each, made once for all, in a folder beside the programs'. */
export interface ProgramPackages {
  readonly folder: string;
  /** The file in it, by the package's name. */
  readonly files: Readonly<Record<string, string>>;
}

export function programPackages(): Promise<ProgramPackages> {
  return ask('/packages');
}

function ask<Answer>(path: string): Promise<Answer> {
  const lender = process.env.IDEMPOTENCY_TEST_LENDER;
  if (lender === undefined) throw new Error('Servers are lent to tests that Jest runs.');
  return new Promise((resolve, reject) => {
    // A connection of its own: one that is kept alive may be closing.
    const asking = request(lender + path, { method: 'POST', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as Answer);
        else reject(new Error(text));
      });
    });
    asking.on('error', reject).end();
  });
}
