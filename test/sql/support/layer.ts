import type { SqlDialect, SqlExecutor } from 'nestjs-idempotency/sql';
import { currentTransaction, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import {
  type ContractCase,
  storeContract,
  transactionContract,
  type TransactionHarness,
} from 'nestjs-idempotency/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { itKeeps } from '../../contract/support/it-keeps.js';
import { sharedMariadb, sharedPostgres } from '../../support/servers/shared.js';

/** A data layer as an application has it: a client of its own with a pool. */
export interface OpenLayer {
  readonly executor: SqlExecutor;
  /** Inserts a row into a table of one column, with the layer's own transaction. */
  insert(tx: unknown, table: 'payments' | 'children' | 'effects', id: string): Promise<unknown>;
  /** Runs any statement with the layer's own transaction. */
  run?(tx: unknown, text: string): Promise<unknown>;
  /** A statement outside of transactions; answers its rows. */
  query(text: string): Promise<readonly Record<string, unknown>[]>;
  /** Other ways to run a statement outside of transactions, by their name. */
  readonly ways?: Readonly<Record<string, (text: string) => Promise<unknown>>>;
  close(): Promise<unknown>;
}

export interface Layer {
  readonly name: string;
  readonly dialect: SqlDialect;
  /** With a pool of that many connections. */
  open(url: string, connections: number): Promise<OpenLayer> | OpenLayer;
}

const SERVERS = { postgres: sharedPostgres, mysql: sharedMariadb } as const;

const TABLES = {
  postgres: [
    'CREATE TABLE payments (id varchar(64) PRIMARY KEY)',
    'CREATE TABLE children (id varchar(64) REFERENCES payments (id) DEFERRABLE INITIALLY DEFERRED)',
  ],
  mysql: ['CREATE TABLE payments (id varchar(64) PRIMARY KEY)'],
};

export interface Layers {
  readonly layer: OpenLayer;
  readonly other: OpenLayer;
  /** Of the database. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Two clients of one new database, with the tables of records and payments. */
export async function openTwice({ dialect, open }: Layer, connections: number): Promise<Layers> {
  if (dialect === 'sqlite') throw new Error('There is no server of SQLite.');
  const server = await SERVERS[dialect]();
  const layer = await open(server.url, connections);
  const other = await open(server.url, connections);
  for (const statement of [...sqlMigration(dialect, { limits: true }).up, ...TABLES[dialect]])
    await layer.query(statement);
  return {
    layer,
    other,
    url: server.url,
    async stop() {
      await layer.close();
      await other.close();
      await server.stop();
    },
  };
}

const TICK_MS = 250;

/** The contract of stores, or some of its cases. */
export function describeLayer(layer: Layer, cases: readonly ContractCase[] = storeContract): void {
  describe(`SqlStore with ${layer.name} keeps the contract of stores`, () => {
    const connections = 12;
    let layers: Layers;
    let store: SqlStore;
    let other: SqlStore;

    beforeAll(async () => {
      layers = await openTwice(layer, connections);
      store = new SqlStore({ executor: layers.layer.executor, purge: false });
      other = new SqlStore({ executor: layers.other.executor, purge: false });
      await store.start(complain);
      await store.prepareLimits(complain);
    });

    afterAll(() => layers?.stop());

    itKeeps(
      cases,
      () => ({ store, other, tickMs: TICK_MS, elapse: (ms) => sleep(ms + 1) }),
      connections,
    );
  });
}

/** The contract of transactions, or some of it. */
export function describeTransactions(layer: Layer, cases = transactionContract): void {
  describe(`SqlStore with ${layer.name} keeps the contract of transactions`, () => {
    const connections = 3;
    let layers: Layers;
    let harness: TransactionHarness;

    beforeAll(async () => {
      layers = await openTwice(layer, connections);
      harness = transactionHarness(layers, layer, connections);
    });

    afterAll(() => layers?.stop());

    it.each([...cases])('$guarantee: $name', async ({ run }) => {
      await expect(run(harness)).resolves.toBeUndefined();
    });
  });
}

function transactionHarness(
  { layer, other }: Layers,
  { dialect }: Layer,
  connections: number,
): TransactionHarness {
  const { executor } = layer;
  return {
    store: new SqlStore({ executor, purge: false }),
    other: new SqlStore({ executor: other.executor, purge: false }),
    write: (tx, id) => layer.insert(tx, 'payments', id),
    ...(dialect === 'postgres' && {
      writeUncommittable: (tx, id) => layer.insert(tx, 'children', id),
    }),
    isWritten: async (id) =>
      (await layer.query(`SELECT id FROM payments WHERE id = '${id}'`)).length === 1,
    current: () => currentTransaction(executor),
    connections,
  };
}

function complain(warning: string): void {
  throw new Error(warning);
}
