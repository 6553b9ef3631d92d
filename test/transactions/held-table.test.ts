import { Controller, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Gate } from 'nestjs-idempotency/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { boot, type TestApp } from '../support/http.js';
import { POSTGRES, type SqlDatabase } from '../support/sql-databases.js';

/** Locks that say nothing of a record: the table grows, or is altered. */
describe('a claim that waits for PostgreSQL, not for another call', () => {
  let server: SqlDatabase;
  let dataSource: DataSource;
  let app: TestApp;
  let gate: Gate;

  beforeAll(async () => {
    server = await POSTGRES.start();
    dataSource = await server.connect();
    await dataSource.runMigrations();

    @Controller()
    class Payments {
      @Idempotent({ transaction: true })
      @Post('payments')
      async pay(): Promise<object> {
        await gate.pass();
        return { paid: true };
      }
    }
    const store = new TypeOrmStore({ dataSource, purge: false });
    app = await boot('express', { controllers: [Payments], idempotency: { store } });
  });

  afterAll(async () => {
    await app.close();
    await server.stop();
  });

  beforeEach(() => (gate = new Gate()));

  const pay = (key: string) => app.send('/payments', { key, body: {} });

  async function holdTable(heldMs: number): Promise<void> {
    await dataSource.transaction(async (manager) => {
      await manager.query('LOCK TABLE idempotency_records IN EXCLUSIVE MODE');
      await sleep(heldMs);
    });
  }

  it('is no duplicate, and not refused as one', async () => {
    gate.open();
    const held = holdTable(150);
    await sleep(30);
    const reply = await pay('first');
    await held;
    expect(reply.status).toBe(201);
  });

  it('is told that the store does not answer when that lasts', async () => {
    gate.open();
    const held = holdTable(3_000);
    await sleep(30);
    const reply = await pay('late');
    expect(reply.status).toBe(503);
    await held;
  });

  it('is refused at once when another call has the record', async () => {
    const first = pay('taken');
    await gate.reached(1);
    // The other one stays where it is until this is answered.
    const reply = await pay('taken');
    expect(reply.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE' });
    gate.open();
    expect((await first).status).toBe(201);
  });
});
