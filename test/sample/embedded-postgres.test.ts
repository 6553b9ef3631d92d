import { Client } from 'pg';
import { EmbeddedPostgres } from '../../sample-app/database/embedded-postgres.js';

const ROUNDS = 50;

describe('the embedded PostgreSQL, with several connections', () => {
  let postgres: EmbeddedPostgres;
  let clients: Client[];

  beforeAll(async () => {
    postgres = await EmbeddedPostgres.start();
    await connect(async (client) => {
      await client.query('CREATE TABLE notes (text text)');
    });
  }, 60_000);
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
    const ask = async (client: Client, type: string, round: number) => {
      const sql = `SELECT $1::${type} AS answer`;
      return (await client.query<{ answer: unknown }>(sql, [round])).rows[0]!.answer;
    };
    const rounds = Array.from({ length: ROUNDS }, (_, round) => round);
    const answers = await Promise.all(
      rounds.map((round) => Promise.all([ask(one, 'integer', round), ask(other, 'text', round)])),
    );
    expect(answers).toEqual(rounds.map((round) => [round, String(round)]));
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
