import { Rabbit } from '../messages/support/rabbitmq.js';
import { type DataSource } from 'typeorm';
import { type SqlDatabase, SQLITE } from '../support/sql-databases.js';
import { ENTITIES, entityKinds, fill, SeenEntities, Statements } from './entity-kinds.js';
import { describeGraphql, DRIVERS } from './graphql.js';
import { describeGraphqlTable } from './graphql-table.js';
import { describeInProcess } from './in-process.js';
import { KINDS, LIBRARIES } from './kinds.js';
import { describeMessages, startCourier } from './messages.js';
import { MONGOOSE_KINDS } from './mongoose-kinds.js';

describeInProcess(MONGOOSE_KINDS);

describe('of a data source', () => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  const statements = new Statements();

  beforeAll(async () => {
    database = await SQLITE.start();
    const options = { entities: ENTITIES, synchronize: true, logging: ['query' as const] };
    dataSource = await database.connect({ ...options, logger: statements });
    await dataSource.runMigrations();
    await fill(dataSource);
  });

  afterAll(() => database?.stop());

  describeInProcess(
    entityKinds(() => dataSource),
    () => new SeenEntities({ dataSource, purge: false }),
  );

  it('no relation is loaded by being kept', () => {
    const selects = statements.seen.filter((text) => text.includes('FROM "shop"'));
    // By the kind that loads it itself: with each of its two calls, three ways.
    expect(selects).toHaveLength(6);
  });
});

describe('what a client gets over RabbitMQ', () => {
  let rabbit: Rabbit;

  beforeAll(async () => {
    rabbit = await Rabbit.start();
  });

  afterAll(() => rabbit?.stop());

  const libraries = LIBRARIES.map(([name, make]) => ({ name, make, outcome: 'equal' as const }));
  describeMessages([...KINDS, ...libraries, ...MONGOOSE_KINDS], async (kinds) => {
    const queue = await rabbit.queue();
    return startCourier(kinds, queue.transport({ noAck: true }), queue.producer());
  });
});

describe('what a client gets of a value on Mercurius', () => {
  describeGraphql('Mercurius');
});

describe.each(DRIVERS)('what a client gets of any value on %s', (driver) => {
  const libraries = LIBRARIES.map(([name, make]) => ({ name, make, outcome: 'equal' as const }));
  describeGraphqlTable(driver, [...KINDS, ...libraries, ...MONGOOSE_KINDS]);
});
