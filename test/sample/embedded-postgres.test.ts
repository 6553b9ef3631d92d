import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { EmbeddedPostgres } from '../../sample-app/shop/setup/database/embedded-postgres.js';

const ROUNDS = 20;
/** So long that its statement comes in pieces, with room for others between them. */
const LONG = 'a'.repeat(300_000);

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

describe('the embedded PostgreSQL, with several connections', () => {
  let postgres: EmbeddedPostgres;
  let clients: Client[];

  beforeAll(async () => {
    postgres = await EmbeddedPostgres.start();
    await connect(async (client) => {
      await client.query('CREATE TABLE notes (text text)');
    });
  }, 180_000);
  afterAll(() => postgres?.onApplicationShutdown());

  beforeEach(async () => {
    clients = [await open(), await open()];
  });
  afterEach(() => Promise.all(clients.map((client) => client.end().catch(() => undefined))));

  async function open(): Promise<Client> {
    const client = new Client({ connectionString: postgres.url });
    // Some of them are cut.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async function connect(work: (client: Client) => Promise<void>): Promise<void> {
    const client = await open();
    await work(client);
    await client.end();
  }

  const notes = async (client: Client): Promise<string[]> =>
    (await client.query<{ text: string }>('SELECT text FROM notes ORDER BY text')).rows.map(
      ({ text }) => text,
    );

  it('gives every statement its own parameters, and every connection its own answers', async () => {
    const [one, other] = clients as [Client, Client];
    const askAll = async (client: Client, expression: string): Promise<Set<string>> => {
      const answers = new Set<string>();
      for (let round = 0; round < ROUNDS; round++) {
        const sql = `SELECT ${expression} AS answer`;
        answers.add((await client.query<{ answer: string }>(sql, [LONG])).rows[0]!.answer);
      }
      return answers;
    };
    expect(await Promise.all([askAll(one, 'md5($1)'), askAll(other, "md5('b' || $1)")])).toEqual([
      new Set([md5(LONG)]),
      new Set([md5(`b${LONG}`)]),
    ]);
  });

  it('lets nobody between the statements of a transaction', async () => {
    const [one, other] = clients as [Client, Client];
    await one.query('BEGIN');
    await one.query("INSERT INTO notes VALUES ('mine')");
    const seen = notes(other);
    await one.query('ROLLBACK');
    expect(await seen).toEqual([]);
  });

  it('undoes what a connection leaves open when it is cut, and goes on', async () => {
    const [one, other] = clients as [Client, Client];
    await one.query('BEGIN');
    await one.query("INSERT INTO notes VALUES ('lost')");
    const waiting = notes(other);
    (one as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    expect(await waiting).toEqual([]);
    expect(await notes(other)).toEqual([]);
  });

  it('goes on after an error in a statement, and in a transaction', async () => {
    const [one, other] = clients as [Client, Client];
    await expect(one.query('SELECT $1::integer', ['x'])).rejects.toThrow('invalid input syntax');
    await one.query('BEGIN');
    await expect(one.query('SELECT nothing')).rejects.toThrow('nothing');
    const waiting = notes(other);
    await one.query('ROLLBACK');
    expect(await waiting).toEqual([]);
  });
});
