import { jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { serialize } from 'node:v8';
import fc from '../support/properties.js';
import type { Claim } from '../../src/engine/claim.js';
import { type CurrentOperation, savedId } from '../../src/operation/current-operation.js';
import { siblingOf, uuidV7 } from '../../src/operation/uuid-v7.js';
import { failAfter, failBefore } from '../../src/testing/index.js';
import { operationOf as anyOperation } from '../support/operation.js';
import { bytes, expectNothingLeft, LEASE_MS, newWorld, type World } from '../support/engine.js';

expectNothingLeft();

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const operationOf = (claim?: Claim): CurrentOperation =>
  anyOperation({ key: 'no-1', scope: 'POST /orders', principal: undefined }, claim);

const msOf = (uuid: string): number => Number.parseInt(uuid.replace('-', '').slice(0, 12), 16);

const callsOf = (world: World, verb: string): number =>
  world.store.calls.filter((call) => call.verb === verb).length;

describe('S17: op.id()', () => {
  it('is the same for an attempt after a crash, which left nothing but the id', async () => {
    const world = newWorld();
    const crashing = world.startPaused();
    const first = operationOf(await crashing.claim());
    const ids = [await first.id(), await first.id('line-1')];
    world.crash(crashing);
    await world.advance(LEASE_MS);

    const claim = await world.process.claim();
    expect(claim.attempt).toBe(2);
    const second = operationOf(claim);
    expect([await second.id(), await second.id('line-1')]).toEqual(ids);
    expect([savedId(claim.steps), savedId(claim.steps, 'line-1')]).toEqual(ids);
    await claim.complete(bytes('done'));
  });

  it('is the same for an attempt after a failure', async () => {
    const { process } = newWorld();
    const failing = await process.claim();
    const id = await operationOf(failing).id('line-1');
    await failing.release();
    const claim = await process.claim();
    expect(await operationOf(claim).id('line-1')).toBe(id);
    await claim.release();
  });

  it('is saved once, before it is handed out, however many names there are', async () => {
    const world = newWorld().answerLater();
    const claim = await world.process.claim();
    const operation = operationOf(claim);
    const [id, again, one, two] = await Promise.all([
      operation.id().then((given) => {
        expect(savedId(world.record().steps)).toBe(given);
        return given;
      }),
      operation.id(),
      operation.id('line-1'),
      operation.id('line-2'),
    ]);
    expect(again).toBe(id);
    expect(new Set([id, one, two]).size).toBe(3);
    expect(new Set([id, one, two].map((each) => msOf(each!))).size).toBe(1);
    expect(callsOf(world, 'saveStep')).toBe(1);
    await claim.complete(bytes('done'));
  });

  it('tells nobody who has seen ids what another one is', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    const operation = operationOf(claim);
    const secret = await operation.id('secret');
    const seen = [await operation.id(), await operation.id('line-1')];
    // Whoever knows how ids are made and calls an id the seed.
    for (const seed of seen) {
      for (const start of [seed, `${seed}${'0'.repeat(32)}`, seed.replaceAll('-', '')]) {
        const steps = new Map([['idempotency:id', serialize(start)]]);
        expect(savedId(steps, 'secret')).not.toBe(secret);
        const digest = createHash('sha256').update(`id:${start}:secret`).digest();
        expect(siblingOf(seed, digest)).not.toBe(secret);
      }
    }
    // Nor is any of them what is on record, from which all are made.
    const kept = Buffer.concat([...world.record().steps.values()]).toString('latin1');
    for (const id of [secret, ...seen]) expect(kept).not.toContain(id);
    await claim.complete(bytes('done'));
  });

  it('costs nothing when nobody asks for it', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    operationOf(claim);
    await claim.complete(bytes('done'));
    expect(callsOf(world, 'saveStep')).toBe(0);
    expect(savedId(claim.steps)).toBeUndefined();
  });

  it.each([
    ['before it has written', failBefore()],
    ['after it has written', failAfter()],
  ])('is not handed out while the store fails %s', async (_how, fault) => {
    const world = newWorld();
    const claim = await world.process.claim();
    const operation = operationOf(claim);
    world.store.next('saveStep', fault);
    await expect(operation.id()).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' });
    expect(world.process.eventsOf('step-not-saved')).toEqual([]);
    // What the failed try may have left in the store is what the next one hands out.
    const left = savedId(world.record().steps);
    const id = await operation.id();
    expect(id).toBe(left ?? id);
    expect(savedId(world.record().steps)).toBe(id);
    await claim.release();
  });

  it('is refused to an owner that was overtaken', async () => {
    const world = newWorld();
    const overtaken = operationOf(await world.startPaused().claim());
    await world.advance(LEASE_MS);
    const winner = await world.process.claim();
    await expect(overtaken.id()).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE' });
    expect(world.record().steps.size).toBe(0);
    await winner.complete(bytes('won'));
    await world.processes[1]!.clock.advance(LEASE_MS);
  });

  it('is new for every call without protection', async () => {
    const first = operationOf();
    const second = operationOf();
    expect(await first.id('a')).toBe(await first.id('a'));
    const ids = [await first.id(), await first.id('a'), await second.id(), await second.id('a')];
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(UUID_V7);
  });
});

describe('a UUIDv7', () => {
  afterEach(() => jest.restoreAllMocks());

  it('carries the time, and version and variant as RFC 9562 has them', () => {
    const before = Date.now();
    const uuid = uuidV7();
    expect(uuid).toMatch(UUID_V7);
    expect(msOf(uuid)).toBeGreaterThanOrEqual(before);
    // Ahead of the clock only as far as a full counter had moved it.
    expect(msOf(uuid)).toBeLessThanOrEqual(Date.now() + 1_000);
  });

  it('has siblings of the same time, each its own', () => {
    const bits = fc.uint8Array({ minLength: 8, maxLength: 32 });
    fc.assert(
      fc.property(bits, (random) => {
        const uuid = uuidV7();
        const sibling = siblingOf(uuid, random);
        expect(sibling).toMatch(UUID_V7);
        expect(sibling.slice(0, 18)).toBe(uuid.slice(0, 18));
        const digits = Buffer.from(random).toString('hex');
        expect(sibling.slice(20).replace('-', '')).toBe(digits.slice(1, 16));
      }),
    );
  });

  // Last, because it leaves the process's latest time behind.
  it('grows, whatever the clock does', () => {
    const steps = fc.array(fc.integer({ min: -1_000, max: 1_000 }), { maxLength: 50 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 200 }), (moves, perMove) => {
        let nowMs = Date.UTC(2030, 0);
        const clock = jest.spyOn(Date, 'now').mockImplementation(() => nowMs);
        const uuids: string[] = [];
        for (const move of moves) {
          nowMs += move;
          for (let at = 0; at < perMove; at += 1) uuids.push(uuidV7());
        }
        clock.mockRestore();
        for (const uuid of uuids) expect(uuid).toMatch(UUID_V7);
        expect(uuids).toEqual([...new Set(uuids)].sort());
      }),
      { numRuns: 30 },
    );
  });
});
