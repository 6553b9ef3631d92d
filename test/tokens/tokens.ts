import { jest } from '@jest/globals';
import { Body, Controller, Post } from '@nestjs/common';
import {
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
  recoveredReply,
  TokenService,
} from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, ManualClock } from 'nestjs-idempotency/testing';
import { essence, expectProblem, expectReplay, type Reply, type TestApp } from '../support/http.js';
import { bootTokenShop, type CASES, takeLargeBodies, tokenFor } from './support/token-shop.js';

const HOUR_MS = 3_600_000;
const ALICE = { 'x-user': 'alice' };

let runs = 0;
let failures = 0;

function work(operation: IdempotentOperation): object {
  runs += 1;
  if (failures-- > 0) throw new Error('on purpose');
  return { run: runs, attempt: operation.attempt };
}

@Controller()
class Shop {
  @Idempotent({ strategy: 'token', purpose: 'order' })
  @Post('orders')
  order(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token', purpose: 'order' })
  @Post('rush-orders')
  rush(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token', purpose: 'order', fingerprint: false })
  @Post('any-content')
  anyContent(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token', purpose: 'order', fingerprint: false })
  @Post('any-other-content')
  anyOtherContent(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token' })
  @Post('comments')
  comment(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token', onDuplicate: 'reject' })
  @Post('votes')
  vote(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token', ttl: '1s' })
  @Post('brief')
  brief(@Operation() operation: IdempotentOperation): object {
    operation.setTtl('1s');
    return work(operation);
  }

  @Idempotent({ strategy: 'token', onStoreFailure: 'proceed' })
  @Post('eager')
  eager(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token', required: false })
  @Post('optional')
  optional(@Operation() operation: IdempotentOperation): object {
    return work(operation);
  }

  @Idempotent({ strategy: 'token' })
  @Post('held')
  async hold(@Operation() operation: IdempotentOperation, @Body() body: object): Promise<object> {
    await operation.hold('on purpose');
    return body;
  }
}

export function describeTokens(rows: readonly (typeof CASES)[number][]): void {
  describe.each(rows)('a $mode token on $platform', ({ platform, mode, tokens }) => {
    let test: TestApp;
    let clock: ManualClock;
    let store: FaultInjectingStore;
    const isStored = mode === 'stored';

    const send = (path: string, token?: string, body: unknown = {}, headers = ALICE) =>
      test.send(path, { key: token, body, headers });
    const expectInvalid = (reply: Reply): void =>
      expectProblem(reply, 422, 'IDEMPOTENCY_TOKEN_INVALID');

    /** For tokens, and for the store. */
    async function later(ms: number): Promise<void> {
      const nowMs = Date.now() + ms;
      jest.spyOn(Date, 'now').mockImplementation(() => nowMs);
      await clock.advance(ms);
    }

    beforeEach(async () => {
      runs = failures = 0;
      clock = new ManualClock();
      store = new FaultInjectingStore(new MemoryStore({ clock }));
      test = await bootTokenShop(
        platform,
        { store, tokens },
        { controllers: [Shop], configure: takeLargeBodies },
      );
    });
    afterEach(async () => {
      jest.restoreAllMocks();
      await test.close();
    });

    it('is good for one operation, and replays it', async () => {
      const token = await tokenFor(test, 'order');
      const first = await send('/orders', token);
      expect(first).toMatchObject({ status: 201, text: '{"run":1,"attempt":1}' });
      expectReplay(first, await send('/orders', token));
      expectReplay(first, await send('/orders', `"${token}"`));
      expect(runs).toBe(1);
    });

    it('refuses a repeat with onDuplicate: reject', async () => {
      const token = await tokenFor(test);
      expect((await send('/votes', token)).status).toBe(201);
      expectProblem(await send('/votes', token), 409, 'IDEMPOTENCY_DUPLICATE');
      expect(runs).toBe(1);
    });

    it('is refused with other content and at another handler, whatever they compare', async () => {
      const [token, other] = [await tokenFor(test, 'order'), await tokenFor(test, 'order')];
      await send('/orders', token, { sku: 'a' });
      expectProblem(await send('/orders', token, { sku: 'b' }), 422, 'IDEMPOTENCY_KEY_REUSED');
      expectProblem(await send('/rush-orders', token, { sku: 'a' }), 422, 'IDEMPOTENCY_KEY_REUSED');
      const first = await send('/any-content', other, { sku: 'a' });
      expectReplay(first, await send('/any-content', other, { sku: 'b' }));
      expectProblem(await send('/any-other-content', other), 422, 'IDEMPOTENCY_KEY_REUSED');
      expect(runs).toBe(2);
    });

    it('S10b: is not burnt by an attempt that fails', async () => {
      const token = await tokenFor(test, 'order');
      failures = 2;
      expect((await send('/orders', token)).status).toBe(500);
      expect((await send('/orders', token)).status).toBe(500);
      expect((await send('/orders', token)).json()).toEqual({ run: 3, attempt: 3 });
    });

    it('is not burnt by a failure at a handler whose ttl is shorter than its own', async () => {
      const token = await tokenFor(test);
      failures = 1;
      expect((await send('/brief', token)).status).toBe(500);
      await later(HOUR_MS / 2);
      expect((await send('/brief', token)).status).toBe(201);
      expect(runs).toBe(2);
    });

    it('never runs twice, however short ttl and setTtl() are', async () => {
      const token = await tokenFor(test);
      const first = await send('/brief', token);
      await later(HOUR_MS / 2);
      expectReplay(first, await send('/brief', token));
      await later(2 * HOUR_MS);
      expectInvalid(await send('/brief', token));
      expect(runs).toBe(1);
    });

    it('replays after its expiry what it has done, until that is forgotten', async () => {
      const token = await tokenFor(test, 'order');
      const first = await send('/orders', token);
      await later(2 * HOUR_MS);
      expectReplay(first, await send('/orders', token));
      await later(25 * HOUR_MS);
      expectInvalid(await send('/orders', token));
      expect(runs).toBe(1);
    });

    it('does not run after its expiry, also not where an earlier attempt failed', async () => {
      const [unused, failed] = [await tokenFor(test, 'order'), await tokenFor(test, 'order')];
      failures = 1;
      await send('/orders', failed);
      await later(2 * HOUR_MS);
      expectInvalid(await send('/orders', unused));
      expectInvalid(await send('/orders', failed));
      expectInvalid(await send('/orders', failed));
      expect(runs).toBe(1);
    });

    it('is required, unless the handler says otherwise', async () => {
      expectProblem(await send('/orders'), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expect((await send('/optional')).status).toBe(201);
      expectInvalid(await send('/optional', 'no token'));
      expect(runs).toBe(1);
    });

    it('belongs to the credentials of an anonymous caller', async () => {
      const [mine, other] = [{ cookie: 'id=mine' }, { cookie: 'id=other' }] as const;
      const token = await tokenFor(test, undefined, mine);
      const as = (headers: Record<string, string>) =>
        test.send('/comments', { key: token, headers });
      expectInvalid(await as(other));
      expectInvalid(await as({}));
      expectInvalid(await as(ALICE));
      const first = await as(mine);
      expect(first.status).toBe(201);
      expectInvalid(await as(other));
      expectReplay(first, await as(mine));
      expect(runs).toBe(1);
    });

    it('is issued by code, too', async () => {
      const service = test.app.get(TokenService);
      const { token, expiresAt, header } = await service.issue({
        principal: 'alice',
        purpose: 'order',
      });
      expect(header).toBe('Idempotency-Key');
      expect(Math.abs(expiresAt.getTime() - Date.now() - HOUR_MS)).toBeLessThan(60_000);
      expect((await send('/orders', token)).status).toBe(201);
      const { token: ofNobody } = await service.issue();
      expect((await test.send('/comments', { key: ofNobody })).status).toBe(201);
    });

    it('is seen by operators, who settle what it has done', async () => {
      const service = test.app.get(IdempotencyService);
      const token = await tokenFor(test);
      const operation = { scope: 'token:', key: token, principal: 'alice' };
      expect((await service.find(operation))?.state).toBe(isStored ? 'issued' : undefined);
      await send('/held', token);
      expect(await service.settle(operation, recoveredReply({ settled: true }))).toBe(true);
      const replay = await send('/held', token);
      expect(replay).toMatchObject({ status: 200, text: '{"settled":true}' });
    });

    it('is never let through unseen when the store is down', async () => {
      const token = await tokenFor(test);
      store.always('acquire', failBefore());
      expectProblem(await send('/eager', 'made up'), 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
      expect(runs).toBe(0);
      const genuine = await send('/eager', token);
      expect(genuine.status).toBe(isStored ? 503 : 201);
      expect(runs).toBe(isStored ? 0 : 1);
    });

    describe('that is wrong', () => {
      const ROUNDS = 100;

      async function wrongTokens(): Promise<Record<string, string>> {
        const elsewhere = await bootTokenShop(
          platform,
          {
            tokens: isStored ? {} : { ...tokens, secrets: ['another secret of 32 bytes or more'] },
          },
          { controllers: [] },
        );
        const genuine = await tokenFor(test, 'order');
        const middle = genuine.length / 2;
        const forged =
          genuine.slice(0, middle) +
          (genuine[middle] === 'A' ? 'B' : 'A') +
          genuine.slice(middle + 1);
        const wrong = {
          'from elsewhere': await tokenFor(elsewhere, 'order'),
          "another user's": await tokenFor(test, 'order', { 'x-user': 'bob' }),
          'for another purpose': await tokenFor(test, 'gift'),
          'without a purpose': await tokenFor(test),
          'longer lived': `_${genuine.slice(1)}`,
          truncated: genuine.slice(0, -1),
          forged,
          malformed: 'no token',
          'two words': 'no token, no token',
          empty: '',
          long: 'A'.repeat(10_000),
        };
        await elsewhere.close();
        return wrong;
      }

      it('gets one and the same refusal, whatever is wrong with it', async () => {
        const wrong = await wrongTokens();
        const expired = await tokenFor(test, 'order');
        const expected = essence(await send('/orders', 'wrong'));
        expect(expected).toMatchObject({ status: 422 });
        for (const [what, token] of Object.entries(wrong)) {
          const asked = store.count();
          expect([what, essence(await send('/orders', token))]).toEqual([what, expected]);
          expect([what, store.calls.slice(asked).map(({ verb }) => verb)]).toEqual([
            what,
            ['acquire'],
          ]);
        }
        for (const field of [1, ['a'], {}, '', 'x'.repeat(2 ** 20)])
          expect(essence(await send('/orders', undefined, { _idempotency_token: field }))).toEqual(
            expected,
          );
        const twice = { ...ALICE, 'idempotency-key': ['one', 'two'] };
        expect(essence(await test.send('/orders', { headers: twice }))).toEqual(expected);
        await later(2 * HOUR_MS);
        expect(essence(await send('/orders', expired))).toEqual(expected);
        expect(runs).toBe(0);
      });

      it('takes the same time, whatever is wrong with it', async () => {
        const wrong = Object.entries(await wrongTokens());
        const taken = new Map<string, number[]>(wrong.map(([what]) => [what, []]));
        for (let round = 0; round < ROUNDS; round++) {
          // Every one has every neighbour: what slows the machine down meets all of them.
          wrong.push(wrong.shift()!);
          if (round % 2 === 0) wrong.reverse();
          for (const [what, token] of wrong) {
            const startedAt = performance.now();
            await send('/orders', token);
            taken.get(what)!.push(performance.now() - startedAt);
          }
        }
        const undisturbed = new Map([...taken].map(([what, times]) => [what, lowestDecile(times)]));
        const [quickest, slowest] = [
          Math.min(...undisturbed.values()),
          Math.max(...undisturbed.values()),
        ];
        expect({ isSame: slowest < quickest * 1.5, undisturbed }).toMatchObject({ isSame: true });
      });
    });
  });
}

function lowestDecile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)]!;
}
