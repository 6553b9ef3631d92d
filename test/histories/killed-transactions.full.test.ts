import { type PrivateServer } from '../support/servers/private-server.js';
import { startPostgres } from '../support/servers/postgres.js';
import { SEED } from '../support/seed.js';
import { killTransactions } from './killed-transactions.js';

const ENOUGH = { seed: SEED, kills: 200, bookings: 600 };

describe(`sessions that are killed in their transactions for long, with seed ${SEED}`, () => {
  let server: PrivateServer;

  beforeAll(async () => {
    server = await startPostgres();
  }, 120_000);

  afterAll(() => server?.stop());

  it('leave both of booking and record or neither, and whole pools', async () => {
    const { violations } = await killTransactions(server.port, ENOUGH);
    expect(violations).toEqual([]);
  }, 300_000);
});
