import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { ChildProgram, nextMessage } from '../support/child-program.js';
import { Random } from '../support/random.js';
import { postgresUrl } from '../support/servers/postgres.js';

export const BOOKING_SCOPE = 'book';

export interface BookingsReady {
  readonly ports: readonly number[];
}

interface PoolState {
  readonly busy: number;
  readonly waiting: number;
}

export interface KilledOutcome {
  readonly violations: readonly string[];
  readonly kills: number;
  /** Keys that were answered with success. */
  readonly answered: number;
  readonly statuses: Readonly<Record<string, number>>;
}

const CLIENTS = 9;
const TRIES = 12;

export interface Killing {
  readonly seed: number;
  /** Both have to be reached. */
  readonly kills: number;
  readonly bookings: number;
}

/** Clients book over applications whose database sessions are killed at random. */
export async function killTransactions(
  port: number,
  { seed, kills: enoughKills, bookings: enoughBookings }: Killing,
): Promise<KilledOutcome> {
  const random = new Random(seed);
  const program = await ChildProgram.compile('test/histories/programs/bookings.ts');
  const admin = await new DataSource({
    type: 'postgres',
    url: postgresUrl(port),
    migrations: [CreateIdempotencyRecords1763700000000],
  }).initialize();
  try {
    await admin.runMigrations();
    await admin.query('CREATE TABLE bookings (number bigserial PRIMARY KEY, key text NOT NULL)');
    await admin.query('CREATE TABLE seats (key text NOT NULL)');
    const child = await program.start<BookingsReady>({ SERVER_PORT: String(port) });
    const replies = new Map<string, Set<string>>();
    const statuses: Record<string, number> = {};
    let asked = 0;
    let kills = 0;
    const isGoingOn = (): boolean => kills < enoughKills || replies.size < enoughBookings;
    const client = async (own: Random): Promise<void> => {
      while (isGoingOn()) {
        asked += 1;
        const key = `booking-${Math.floor(asked / 3)}`;
        for (let tries = 0; tries < TRIES; tries += 1) {
          const { status, text } = await book(own.oneOf(child.ready.ports), key);
          statuses[status] = (statuses[status] ?? 0) + 1;
          if (status === 201) {
            replies.set(key, (replies.get(key) ?? new Set()).add(text));
            break;
          }
          await sleep(own.between(0, 60));
        }
      }
    };
    const killer = async (): Promise<void> => {
      while (isGoingOn()) {
        await sleep(random.between(30, 150));
        kills += (await admin.query<object[]>(KILL)).length;
      }
    };
    await Promise.all([killer(), ...Array.from({ length: CLIENTS }, () => client(random.fork()))]);
    await sleep(1_500);
    const violations = await broken(admin, replies);
    const pools = nextMessage<PoolState[]>(child.process);
    child.process.send('pools');
    for (const { busy, waiting } of await pools)
      if (busy + waiting > 0) violations.push(`${busy} connections busy, ${waiting} calls waiting`);
    if (child.process.exitCode !== null) violations.push(`the process died: ${child.errors()}`);
    return { violations, kills, answered: replies.size, statuses };
  } finally {
    await program.stop();
    await admin.destroy();
  }
}

const KILL = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'bookings' ORDER BY random() LIMIT 1`;

/** No answer is status 0. */
async function book(port: number, key: string): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/book`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ key }),
      signal: AbortSignal.timeout(20_000),
    });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: '' };
  }
}

/** Of effect and record there are both or neither, and of each one. */
async function broken(
  admin: DataSource,
  replies: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<string[]> {
  const violations: string[] = [];
  const bookings = await numbersByKey(admin, 'SELECT key, number FROM bookings');
  const seats = await numbersByKey(admin, 'SELECT key, 0 AS number FROM seats');
  for (const [key, texts] of replies) {
    if (texts.size > 1) violations.push(`${key} has ${texts.size} replies`);
    const booked = bookings.get(key) ?? [];
    const { number } = JSON.parse([...texts][0]!) as { number: number };
    if (booked.length === 1 && booked[0] !== number)
      violations.push(`${key} was answered ${number}, and is ${booked[0]}`);
    if (booked.length !== 1 || seats.get(key)?.length !== 1)
      violations.push(
        `${key} was answered, and has ${booked.length} bookings and ${seats.get(key)?.length ?? 0} seats`,
      );
  }
  for (const [key, { length }] of bookings)
    if (length > 1) violations.push(`${key} was booked ${length} times`);
  violations.push(...(await unrecorded(admin, bookings.keys())));
  const [open] = await admin.query<[{ count: string }]>(
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bookings' AND state LIKE 'idle in transaction%'",
  );
  if (Number(open.count) > 0) violations.push(`${open.count} transactions are open`);
  return violations;
}

async function unrecorded(admin: DataSource, keys: Iterable<string>): Promise<string[]> {
  const store = new TypeOrmStore({ dataSource: admin, purge: false });
  @Module({ imports: [IdempotencyModule.forRoot({ store })] })
  class OperatorModule {}
  const app = await NestFactory.createApplicationContext(OperatorModule, { logger: false });
  const service = app.get(IdempotencyService);
  const violations: string[] = [];
  for (const key of keys) {
    const view = await service.find({ scope: BOOKING_SCOPE, key });
    if (view?.state !== 'completed')
      violations.push(`${key} is booked, and its record is ${view?.state ?? 'not there'}`);
  }
  await app.close();
  return violations;
}

async function numbersByKey(admin: DataSource, sql: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const { key, number } of await admin.query<{ key: string; number: string }[]>(sql))
    found.set(key, [...(found.get(key) ?? []), Number(number)]);
  return found;
}
