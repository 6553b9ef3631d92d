import { Body, Controller, Inject, Post } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { outsideTransaction, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Gate } from 'nestjs-idempotency/testing';
import {
  BaseEntity,
  Column,
  DataSource,
  Entity,
  PrimaryGeneratedColumn,
  type QueryRunner,
  type Repository,
} from 'typeorm';
import { boot, bootError, eventually, PATIENT, type Reply, type TestApp } from '../support/http.js';
import { POSTGRES, type SqlDatabase } from '../support/sql-databases.js';

@Entity('notes')
class Note extends BaseEntity {
  @PrimaryGeneratedColumn() id!: number;
  @Column('varchar') text!: string;
}

const REPOSITORY = Symbol('repository');
const STOREFRONT = Symbol('runner of the application');

/** Every way in which application code reaches the data source without the operation's manager. */
const WAYS: Readonly<
  Record<string, (source: DataSource, repository: Repository<Note>, text: string) => unknown>
> = {
  'an injected repository': (_source, repository, text) => repository.save({ text }),
  'a custom repository': (_source, repository, text) =>
    repository
      .extend({
        add(this: Repository<Note>, note: string) {
          return this.insert({ text: note });
        },
      })
      .add(text),
  'an active record': (_source, _repository, text) => Note.create({ text }).save(),
  'the manager of the data source': ({ manager }, _repository, text) =>
    manager.insert(Note, { text }),
  'a query of the data source': (source, _repository, text) =>
    source.query('INSERT INTO notes (text) VALUES ($1)', [text]),
  'a query builder': (source, _repository, text) =>
    source.createQueryBuilder().insert().into(Note).values({ text }).execute(),
  'a transaction of the data source': (source, _repository, text) =>
    source.transaction((manager) => manager.insert(Note, { text })),
  'its own query runner': async (source, _repository, text) => {
    const runner = source.createQueryRunner();
    try {
      await runner.startTransaction();
      await runner.manager.insert(Note, { text });
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
  },
};
const NAMES = Object.keys(WAYS);

interface Work {
  readonly way: string;
  readonly text: string;
  readonly fails?: boolean;
}

class Desk {
  constructor(
    private readonly source: DataSource,
    private readonly repository: Repository<Note>,
  ) {}

  async note({ way, text, fails }: Work): Promise<string> {
    await WAYS[way]!(this.source, this.repository, text);
    if (fails === true) throw new Error('out of order');
    return text;
  }
}

@Controller()
class NotesController {
  private readonly desk: Desk;

  constructor(
    source: DataSource,
    @Inject(REPOSITORY) private readonly repository: Repository<Note>,
    @Inject(STOREFRONT) private readonly storefront: QueryRunner,
  ) {
    this.desk = new Desk(source, repository);
  }

  @Post('warn')
  @Idempotent({ transaction: true })
  warn(@Body() work: Work): Promise<string> {
    return this.desk.note(work);
  }

  @Post('refuse')
  @Idempotent({ transaction: true, secondConnection: 'refuse' })
  refuse(@Body() work: Work): Promise<string> {
    return this.desk.note(work);
  }

  @Post('join')
  @Idempotent({ transaction: true, secondConnection: 'join' })
  join(@Body() work: Work): Promise<string> {
    return this.desk.note(work);
  }

  @Post('allow')
  @Idempotent({ transaction: true, secondConnection: 'allow' })
  allow(@Body() work: Work): Promise<string> {
    return this.desk.note(work);
  }

  @Post('meant')
  @Idempotent({ transaction: true, secondConnection: 'refuse' })
  async meant(@Body() { text }: Work): Promise<void> {
    await outsideTransaction(() => this.repository.insert({ text }));
    throw new Error('out of order');
  }

  @Post('inside')
  @Idempotent({ transaction: true, secondConnection: 'refuse' })
  async inside(
    @Body() { text }: Work,
    @Operation() { manager }: IdempotentOperation,
  ): Promise<number> {
    await manager.getRepository(Note).save({ text });
    await manager.transaction((nested) => nested.insert(Note, { text }));
    return manager.countBy(Note, { text });
  }

  @Post('reads')
  @Idempotent({ transaction: true })
  async reads(@Body() { text }: Work): Promise<number> {
    return this.repository.countBy({ text });
  }

  @Post('older')
  @Idempotent({ transaction: true, secondConnection: 'refuse' })
  async older(@Body() { text }: Work): Promise<void> {
    await this.storefront.query('INSERT INTO notes (text) VALUES ($1)', [text]);
  }

  @Post('unprotected')
  @Idempotent()
  unprotected(@Body() work: Work): Promise<string> {
    return this.desk.note(work);
  }
}

describe('work beside the transaction of an operation', () => {
  let database: SqlDatabase;
  let source: DataSource;
  let shop: TestApp;
  let storefront: QueryRunner;

  beforeAll(async () => {
    database = await POSTGRES.start();
    source = await database.connect({ entities: [Note], synchronize: true });
    await source.runMigrations();
    storefront = { query: () => Promise.reject(new Error('not connected')) } as never;
    shop = await boot('express', {
      controllers: [NotesController],
      providers: [
        { provide: DataSource, useValue: source },
        { provide: REPOSITORY, useValue: source.getRepository(Note) },
        {
          provide: STOREFRONT,
          useFactory: () => ({ query: (...all: [string, unknown[]]) => storefront.query(...all) }),
        },
      ],
      idempotency: { ...PATIENT, store: new TypeOrmStore({ dataSource: source, purge: false }) },
    });
  });

  afterAll(async () => {
    await shop?.close();
    await database?.stop();
  });

  beforeEach(() => {
    shop.complaints.length = 0;
  });

  let calls = 0;
  const send = (path: string, work: Partial<Work>): Promise<Reply> =>
    shop.send(path, { key: `${(calls += 1)}`, body: work });
  const rows = (text: string): Promise<number> => source.getRepository(Note).countBy({ text });
  const warnings = (): string[] =>
    shop.complaints.filter((one) => one.includes('second connection'));

  it.each(NAMES)(
    'stays when the operation is undone, unless it joins or is refused: %s',
    async (way) => {
      const outcome = async (path: string): Promise<unknown> => {
        const text = `${path} ${way}`;
        const { status } = await send(path, { way, text, fails: true });
        return [path, status, await rows(text)];
      };
      expect(await outcome('/warn')).toEqual(['/warn', 500, 1]);
      expect(await outcome('/allow')).toEqual(['/allow', 500, 1]);
      expect(await outcome('/refuse')).toEqual(['/refuse', 500, 0]);
      expect(await outcome('/join')).toEqual(['/join', 500, 0]);
    },
  );

  it.each(NAMES)('is committed with the operation that it joins: %s', async (way) => {
    const text = `joined by ${way}`;
    expect((await send('/join', { way, text })).status).toBe(201);
    expect(await rows(text)).toBe(1);
    expect(warnings()).toEqual([]);
  });

  it('says in the error why it was refused', async () => {
    expect((await send('/refuse', { way: NAMES[0], text: 'refused' })).status).toBe(500);
    expect(shop.complaints.join('\n')).toMatch(/POST \/refuse asked for a second connection/);
  });

  it('is noticed on a connection that was opened before', async () => {
    await send('/inside', { text: 'first' });
    storefront = source.createQueryRunner();
    await storefront.connect();
    try {
      expect((await send('/older', { text: 'older' })).status).toBe(500);
      expect(await rows('older')).toBe(0);
    } finally {
      await storefront.release();
    }
  });

  it('may be meant', async () => {
    expect((await send('/meant', { text: 'meant' })).status).toBe(500);
    expect(await rows('meant')).toBe(1);
    expect(warnings()).toEqual([]);
  });

  it('is not what the manager of the operation does', async () => {
    const reply = await send('/inside', { text: 'inside' });
    expect([reply.status, reply.text]).toEqual([201, '2']);
  });

  it('is nothing to an operation without a transaction', async () => {
    for (const way of NAMES)
      expect((await send('/unprotected', { way, text: 'free' })).status).toBe(201);
    expect(warnings()).toEqual([]);
  });

  it('stops the application where there is no transaction that it could be beside', async () => {
    @Controller()
    class Careful {
      @Post('careful')
      @Idempotent({ secondConnection: 'refuse' })
      careful(): void {}
    }
    const error = await bootError('express', { controllers: [Careful] });
    expect(error.message).toMatch(/secondConnection of Careful\.careful.*transaction: true/s);
  });

  it('is warned of once per handler, with the remedy', async () => {
    const other = await boot('express', {
      controllers: [NotesController],
      providers: [
        { provide: DataSource, useValue: source },
        { provide: REPOSITORY, useValue: source.getRepository(Note) },
        { provide: STOREFRONT, useValue: storefront },
      ],
      idempotency: { ...PATIENT, store: new TypeOrmStore({ dataSource: source, purge: false }) },
    });
    try {
      for (const way of [...NAMES, ...NAMES])
        await other.send('/warn', { key: `${(calls += 1)}`, body: { way, text: 'noisy' } });
      await other.send('/reads', { key: `${(calls += 1)}`, body: { text: 'noisy' } });
      await other.send('/allow', { key: 'allowed', body: { way: NAMES[0], text: 'noisy' } });
      const of = (scope: string): string[] =>
        other.complaints.filter((one) => one.startsWith(`${scope} uses a second connection`));
      expect(other.complaints).toHaveLength(2);
      expect(of('POST /warn')).toEqual([expect.stringMatching(/op\.manager.*'join'.*'allow'/)]);
      expect(of('POST /reads')).toHaveLength(1);
    } finally {
      await other.close();
    }
  });
});

describe('a pool whose operations all want a second connection', () => {
  const POOL = 3;
  const STORE_TIMEOUT_MS = 1_000;
  let database: SqlDatabase;
  let source: DataSource;
  let shop: TestApp;
  let gate: Gate;

  beforeAll(async () => {
    database = await POSTGRES.start();
    source = await database.connect({ poolSize: POOL });
    await source.runMigrations();
    @Controller()
    class Greedy {
      @Post('greedy')
      @Idempotent({ transaction: true, secondConnection: 'allow' })
      async greedy(): Promise<void> {
        await gate.pass();
        await source.query('SELECT 1');
      }

      @Post('modest')
      @Idempotent({ transaction: true })
      modest(): string {
        return 'done';
      }
    }
    shop = await boot('express', {
      controllers: [Greedy],
      idempotency: {
        storeTimeout: STORE_TIMEOUT_MS,
        store: new TypeOrmStore({ dataSource: source, purge: false }),
      },
    });
    // All connections are open, so that no time-out is that of opening one.
    await Promise.all(Array.from({ length: POOL }, () => source.query('SELECT pg_sleep(0.02)')));
  });

  beforeEach(() => {
    gate = new Gate();
  });

  afterAll(async () => {
    await shop?.close();
    await database?.stop();
  });

  const idle = (): boolean => {
    const { master } = source.driver as unknown as {
      master: { idleCount: number; totalCount: number; waitingCount: number };
    };
    return master.idleCount === master.totalCount && master.waitingCount === 0;
  };

  it('tells them why after the time-out of the store, and serves the next ones', async () => {
    const all = Array.from({ length: POOL }, (_, i) => shop.send('/greedy', { key: `all ${i}` }));
    await gate.reached(POOL);
    gate.open();
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    // As soon as one of them fails, its connection is there for another one.
    expect(statuses).toContain(500);
    expect(shop.complaints.join('\n')).toMatch(
      /none within 1000 ms.*op\.manager.*'join'.*larger pool/,
    );
    await eventually(idle);
    await eventually(async () => (await shop.send('/modest', { key: 'next' })).status === 201);
  });

  it('recovers as well when the clients have left', async () => {
    const leaving = new AbortController();
    const all = Array.from({ length: POOL }, (_, i) =>
      shop.send('/greedy', { key: `gone ${i}`, signal: leaving.signal }).catch(() => undefined),
    );
    await gate.reached(POOL);
    leaving.abort();
    await Promise.all(all);
    gate.open();
    await eventually(idle);
    let next: Reply | undefined;
    await eventually(
      async () => (next = await shop.send('/modest', { key: 'after' })).status === 201,
    );
    expect(next?.text).toBe('done');
  });
});

describe('duplicates that wait for operations of another process', () => {
  const KEYS = 6;
  let database: SqlDatabase;
  const apps: TestApp[] = [];

  afterAll(async () => {
    for (const app of apps) await app.close();
    await database?.stop();
  });

  it('leave the pool to others, and get the reply', async () => {
    database = await POSTGRES.start();
    const gate = new Gate();
    const start = async (source: DataSource): Promise<TestApp> => {
      @Controller()
      class Slow {
        @Post('slow')
        @Idempotent({ transaction: true, wait: '60s' })
        async slow(@Operation() { key }: IdempotentOperation): Promise<object> {
          if (key !== 'other') await gate.pass();
          return { key };
        }
      }
      const store = new TypeOrmStore({ dataSource: source, purge: false });
      const app = await boot('express', {
        controllers: [Slow],
        idempotency: { ...PATIENT, store },
      });
      apps.push(app);
      return app;
    };
    const first = await database.connect();
    await first.runMigrations();
    const second = await database.connect({ poolSize: 2 });
    const [owner, other] = [await start(first), await start(second)];
    const keys = Array.from({ length: KEYS }, (_, i) => `key ${i}`);
    const running = keys.map((key) => owner.send('/slow', { key }));
    await gate.reached(KEYS);
    const waiting = keys.map((key) => other.send('/slow', { key }));
    // However long they wait: what comes meanwhile is served.
    expect((await other.send('/slow', { key: 'other' })).status).toBe(201);
    gate.open();
    for (const [i, reply] of (await Promise.all(waiting)).entries()) {
      expect([reply.status, reply.headers['idempotent-replayed']]).toEqual([201, 'true']);
      expect(reply.json()).toEqual({ key: keys[i] });
    }
    for (const reply of await Promise.all(running)) expect(reply.status).toBe(201);
  });
});
