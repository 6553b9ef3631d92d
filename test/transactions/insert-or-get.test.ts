import { insertOrGet } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { operationOf } from '../support/operation.js';
import { LEASE_MS, newWorld } from '../support/engine.js';
import { MARIADB, PGLITE, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';
import { Brand, CALLERS, countInserted, listing, Listing, LISTINGS, Model } from './listings.js';

/** What a statement costs is what TypeORM sends. */
function recordStatements({ logger }: DataSource): string[] {
  const statements: string[] = [];
  const logQuery = logger.logQuery.bind(logger);
  logger.logQuery = (query, ...rest) => {
    statements.push(query);
    logQuery(query, ...rest);
  };
  return statements;
}

describe.each([POSTGRES, MARIADB, PGLITE, SQLITE])('S7: insertOrGet() on $name', (kind) => {
  let database: SqlDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await kind.start();
    dataSource = await database.connect(LISTINGS);
  });
  afterAll(() => database.stop());

  const found = (goodsId: string): Promise<Listing> =>
    dataSource.manager.findOneByOrFail(Listing, { goodsId });
  const rowsOf = (goodsId: string): Promise<number> =>
    dataSource.manager.countBy(Listing, { goodsId });

  it('leaves one row, says who inserted it, and gives it as findOne does', async () => {
    const values = listing();
    const first = await insertOrGet(dataSource.manager, Listing, { ...values, tags: ['new'] });
    const again = await insertOrGet(dataSource.manager, Listing, { ...values, visible: false });
    expect([first.inserted, again.inserted]).toEqual([true, false]);
    const row = await found(values.goodsId);
    expect(first.entity).toStrictEqual(row);
    expect(again.entity).toStrictEqual(row);
    expect(row).toMatchObject({
      visible: true,
      price: { euros: 12.5, currency: 'EUR' },
      version: 1,
    });
    expect(row.note).toBeUndefined();
  });

  it('costs one statement for a new row, or two where none is returned, and two for an old one', async () => {
    const values = listing();
    const statements = recordStatements(dataSource);
    await insertOrGet(dataSource.manager, Listing, values);
    expect(statements).toHaveLength(kind === MARIADB ? 2 : 1);
    statements.length = 0;
    await insertOrGet(dataSource.manager, Listing, values);
    expect(statements).toHaveLength(2);
  });

  it('inserts once for 32 callers in two pools', async () => {
    const values = listing();
    const second = kind.hasManySessions ? await database.connect(LISTINGS) : dataSource;
    const results = await Promise.all(
      CALLERS.map((at) => insertOrGet((at % 2 ? second : dataSource).manager, Listing, values)),
    );
    expect(countInserted(results)).toBe(1);
    expect(new Set(results.map(({ entity }) => entity.id)).size).toBe(1);
    expect(await rowsOf(values.goodsId)).toBe(1);
  });

  it('leaves its transaction as usable as it was', async () => {
    const values = listing();
    const other = listing();
    await insertOrGet(dataSource.manager, Listing, values);
    await dataSource.transaction(async (manager) => {
      expect(await insertOrGet(manager, Listing, values)).toMatchObject({ inserted: false });
      expect(await insertOrGet(manager, Listing, other)).toMatchObject({ inserted: true });
      expect(await insertOrGet(manager, Listing, other)).toMatchObject({ inserted: false });
    });
    expect(await rowsOf(other.goodsId)).toBe(1);
  });

  it('leaves nothing in a transaction that is rolled back', async () => {
    const values = listing();
    const undone = dataSource.transaction(async (manager) => {
      await insertOrGet(manager, Listing, values);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect(await rowsOf(values.goodsId)).toBe(0);
    expect(await insertOrGet(dataSource.manager, Listing, values)).toMatchObject({
      inserted: true,
    });
  });

  it('finds a row that was deleted softly', async () => {
    const values = listing();
    const { entity } = await insertOrGet(dataSource.manager, Listing, values);
    await dataSource.manager.softDelete(Listing, entity.id);
    const again = await insertOrGet(dataSource.manager, Listing, values);
    expect(again).toMatchObject({ inserted: false, entity: { deletedAt: expect.any(Date) } });
  });

  it('finds by a generated key, a relation, and with what findOne loads', async () => {
    const { entity: brand } = await insertOrGet(dataSource.manager, Brand, { code: 'acme' });
    expect(await insertOrGet(dataSource.manager, Brand, { code: 'acme' })).toStrictEqual({
      entity: brand,
      inserted: false,
    });
    expect(await insertOrGet(dataSource.manager, Brand, { id: brand.id, code: 'acme' })).toEqual({
      entity: brand,
      inserted: false,
    });
    const first = await insertOrGet(dataSource.manager, Model, { id: 'a', brand, label: 'T' });
    const again = await insertOrGet(dataSource.manager, Model, { id: 'b', brand, label: 'T' });
    expect([first.inserted, again.inserted]).toEqual([true, false]);
    expect(first.entity).toMatchObject({ id: 'a', brand: { code: 'acme' }, loaded: true });
    expect(again.entity).toStrictEqual(first.entity);
  });

  it('refuses values that cover no unique index', async () => {
    const partial = insertOrGet(dataSource.manager, Listing, { categoryId: 7, slug: null });
    await expect(partial).rejects.toMatchObject({
      name: 'IdempotencyConfigurationError',
      message: expect.stringMatching(/\(goodsId, categoryId\).*Add them/),
    });
  });

  it('refuses to take another row for the one that was meant', async () => {
    const first = { ...listing(), slug: 'taken' };
    await insertOrGet(dataSource.manager, Listing, first);
    const { id } = await found(first.goodsId);
    for (const other of [
      { ...listing(), slug: first.slug },
      { ...listing(), id },
    ]) {
      await expect(insertOrGet(dataSource.manager, Listing, other)).rejects.toMatchObject({
        name: 'UniqueIndexConflictError',
        message: expect.stringContaining('goodsId, categoryId'),
      });
      expect(await rowsOf(other.goodsId)).toBe(0);
    }
  });

  it('hides no other error', async () => {
    const tooMuch = { ...listing(), price: undefined };
    await expect(insertOrGet(dataSource.manager, Listing, tooMuch)).rejects.toThrow(
      /null|default/i,
    );
    const brand = { id: 4711, code: 'none' };
    const model = { id: 'of nobody', brand, label: 'none' };
    await expect(insertOrGet(dataSource.manager, Model, model)).rejects.toThrow(/foreign key/i);
  });

  it('S17: meets what an attempt inserted that died, by the id of the operation', async () => {
    const world = newWorld();
    const crashing = world.startPaused();
    const operation = (claim: Awaited<ReturnType<typeof crashing.claim>>) =>
      operationOf({ key: 'k', scope: 's', principal: undefined }, claim);
    const values = listing();
    const id = await operation(await crashing.claim()).id();
    await insertOrGet(dataSource.manager, Listing, { ...values, id });
    world.crash(crashing);
    await world.advance(LEASE_MS);
    const claim = await world.process.claim();
    const again = { ...values, id: await operation(claim).id() };
    const { entity, inserted } = await insertOrGet(dataSource.manager, Listing, again);
    expect({ id: entity.id, inserted }).toEqual({ id, inserted: false });
    await claim.release();
  });
});
