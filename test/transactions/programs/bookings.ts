import 'reflect-metadata';
import {
  Body,
  Controller,
  Get,
  Injectable,
  InternalServerErrorException,
  Module,
  NotFoundException,
  Param,
  Post,
} from '@nestjs/common';
import {
  ClsPluginTransactional,
  InjectTransaction,
  InjectTransactionHost,
  Propagation,
  type Transaction,
  Transactional,
  TransactionHost,
} from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ClsModule, ClsService } from 'nestjs-cls';
import {
  Idempotent,
  IdempotencyModule,
  IdempotencyService,
  Operation,
  type IdempotentOperation,
} from 'nestjs-idempotency';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { DataSource, type DataSourceOptions, type EntityManager } from 'typeorm';
import type { Entry, Ready } from '../support/bookings.js';

/**
 * An application with `@nestjs-cls/transactional` and two data sources. A process of its own,
 * because that package cannot be loaded by Jest: it is CommonJS and needs Nest, which is not.
 */
const { HTTP, MAIN_URL, BILLING_URL, STRANGE_HOST } = process.env;

type Adapter = TransactionalAdapterTypeOrm;

const BILLING = 'billing';
const BILLING_SOURCE = Symbol(BILLING);

const main = await open(MAIN_URL);
const billing = await open(BILLING_URL);

/** Without a URL: SQLite in memory. */
async function open(url: string | undefined): Promise<DataSource> {
  const options: DataSourceOptions = url ? { type: 'postgres', url } : { type: 'sqljs' };
  const migrations = [CreateIdempotencyRecords1763700000000];
  const dataSource = new DataSource({ ...options, migrations, migrationsRun: true });
  await dataSource.initialize();
  await dataSource.query('CREATE TABLE bookings (id varchar(64) PRIMARY KEY)');
  return dataSource;
}

const insert = (manager: EntityManager, id: string): Promise<unknown> =>
  manager.query(`INSERT INTO bookings (id) VALUES ('${id}')`);

/** Written as if there were no idempotency: all it knows is the transaction host. */
@Injectable()
class Ledger {
  constructor(
    readonly host: TransactionHost<Adapter>,
    @InjectTransactionHost(BILLING) readonly billing: TransactionHost<Adapter>,
    @InjectTransaction() private readonly transaction: Transaction<Adapter>,
  ) {}

  /** Answers what it has written with. */
  @Transactional()
  async book(id: string): Promise<EntityManager> {
    await insert(this.host.tx, id);
    return this.host.tx;
  }

  @Transactional(BILLING)
  async bill(id: string): Promise<EntityManager> {
    await insert(this.billing.tx, id);
    return this.billing.tx;
  }

  @Transactional(Propagation.RequiresNew)
  async bookApart(id: string): Promise<void> {
    await insert(this.host.tx, id);
  }

  @Transactional(Propagation.Mandatory)
  async bookThroughProxy(id: string): Promise<void> {
    await insert(this.transaction, id);
  }

  @Transactional(Propagation.Never)
  async bookOutside(id: string): Promise<void> {
    await insert(this.host.tx, id);
  }

  @Transactional(Propagation.Nested)
  async bookInVain(id: string): Promise<void> {
    await insert(this.host.tx, id);
    throw new Error('in vain');
  }
}

@Controller()
class BookingsController {
  constructor(
    private readonly ledger: Ledger,
    private readonly service: IdempotencyService,
    private readonly cls: ClsService,
  ) {}

  @Idempotent({ transaction: true })
  @Post('joined')
  async joined(@Body() { id, fails }: Entry, @Operation() op: IdempotentOperation) {
    const { host } = this.ledger;
    const managers = [host.tx, await this.ledger.book(id), host.tx];
    if (fails === 'crash') throw new InternalServerErrorException();
    if (fails === 'not-found') throw new NotFoundException();
    return { isOne: managers.every((manager) => manager === op.manager) };
  }

  @Idempotent({ transaction: true })
  @Post('apart')
  async apart(@Body() { id }: Entry): Promise<void> {
    await this.ledger.book(`${id}, joined`);
    await this.ledger.bookApart(`${id}, apart`);
    throw new InternalServerErrorException();
  }

  @Idempotent({ transaction: true })
  @Post('nested')
  async nested(@Body() { id }: Entry): Promise<void> {
    await this.ledger.book(id);
    await this.ledger.bookInVain(`${id}, in vain`).catch(() => undefined);
  }

  @Idempotent({ transaction: true })
  @Post('strict')
  async strict(@Body() { id, fails }: Entry) {
    await this.ledger.bookThroughProxy(id);
    if (fails) throw new NotFoundException();
    try {
      await this.ledger.bookOutside(`${id}, outside`);
    } catch (error) {
      return { refusal: (error as Error).name };
    }
  }

  @Idempotent({ transaction: BILLING })
  @Post('billed')
  async billed(@Body() { id }: Entry, @Operation() op: IdempotentOperation) {
    const manager = await this.ledger.bill(id);
    return { isOne: manager === op.manager, isMainBusy: this.ledger.host.isTransactionActive() };
  }

  @Idempotent()
  @Post('alone')
  async alone(@Body() { id }: Entry) {
    const { host, billing: other } = this.ledger;
    const isBusy = host.isTransactionActive() || other.isTransactionActive();
    await this.ledger.book(id);
    return { isBusy };
  }

  /** As a cron job would: in no request, and in no context of `nestjs-cls`. */
  @Post('job')
  async job(@Body() { id, fails }: Entry) {
    const isOne = await this.cls.exit(() =>
      this.service.run({ scope: 'job', key: id, transaction: true }, async (op) => {
        const manager = await this.ledger.book(id);
        if (fails) throw new NotFoundException();
        return manager === op.manager;
      }),
    );
    return { isOne, isBusy: this.ledger.host.isTransactionActive() };
  }

  @Get('bookings/:source/:prefix')
  async bookings(@Param('source') source: string, @Param('prefix') prefix: string) {
    const rows = await (source === BILLING ? billing : main).query<{ id: string }[]>(
      `SELECT id FROM bookings WHERE id LIKE '${prefix}%' ORDER BY id`,
    );
    return rows.map(({ id }) => id);
  }
}

@Module({
  providers: [
    { provide: DataSource, useValue: main },
    { provide: BILLING_SOURCE, useValue: billing },
  ],
  exports: [DataSource, BILLING_SOURCE],
})
class SourcesModule {}

const hostOf = (dataSourceToken: unknown) => ({
  imports: [SourcesModule],
  adapter: new TransactionalAdapterTypeOrm({ dataSourceToken }),
});

@Module({
  imports: [
    IdempotencyModule.forRoot({
      store: new TypeOrmStore({ dataSource: main, sources: { billing }, purge: false }),
    }),
    ClsModule.forRoot({
      middleware: { mount: true },
      plugins: [
        new ClsPluginTransactional({ enableTransactionProxy: true, ...hostOf(DataSource) }),
        new ClsPluginTransactional({ connectionName: BILLING, ...hostOf(BILLING_SOURCE) }),
      ],
    }),
  ],
  controllers: [BookingsController],
  providers: [Ledger],
})
class BookingsModule {}

if (STRANGE_HOST) {
  const hosts = Reflect.get(TransactionHost, '_instanceMap') as Map<string, object>;
  hosts.set(STRANGE_HOST, {});
}
const options = { logger: ['error', 'fatal'] satisfies ('error' | 'fatal')[] };
const app = await (HTTP === 'fastify'
  ? NestFactory.create(BookingsModule, new FastifyAdapter(), options)
  : NestFactory.create(BookingsModule, options));
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
