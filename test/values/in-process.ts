import { type LoggerService, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  arg,
  IdempotencyModule,
  IdempotencyService,
  Idempotent,
  isIdempotencyError,
  MemoryStore,
} from 'nestjs-idempotency';
import type {
  CompleteRequest,
  IdempotencyStore,
  SaveStepRequest,
} from 'nestjs-idempotency/contracts';
import { inspect, isDeepStrictEqual } from 'node:util';
import { type Kind, LIBRARIES, type Outcome, SECRET, TYPES } from './kinds.js';

/** Remembers what it was given. */
export class SeenStore extends MemoryStore {
  readonly replies: Uint8Array[] = [];

  override complete(request: CompleteRequest) {
    this.replies.push(request.reply);
    return super.complete(request);
  }

  override saveStep(request: SaveStepRequest) {
    this.replies.push(request.value);
    return super.saveStep(request);
  }

  contains(text: string): boolean {
    return contain(this.replies, text);
  }
}

/** True if any record contains the text, in any form in which text is kept. */
export function contain(replies: readonly Uint8Array[], text: string): boolean {
  const stored = Buffer.concat(replies);
  return stored.includes(text) || stored.includes(Buffer.from(text, 'utf16le'));
}

/** A store that knows what it was given. */
export interface SeeingStore extends IdempotencyStore {
  contains(text: string): boolean;
}

/** A logger that keeps what it is warned of. */
export function collecting(warnings: string[]): LoggerService {
  const keep = (warning: string) => warnings.push(warning);
  return { log: () => undefined, warn: keep, error: keep };
}

type Ask = (key: string) => Promise<unknown>;

interface Started {
  readonly ask: Record<(typeof WAYS)[number], (kind: Kind) => Ask>;
  readonly store: SeeingStore;
  close(): Promise<void>;
}

const WAYS = ['a method', 'run()', 'a step'] as const;

class AfterTheStep extends Error {}

let runs = 0;
/** Of the last application that was started: Nest has one logger for all. */
const warnings: string[] = [];

/** An application with a method for each kind. */
async function start(
  kinds: readonly Kind[],
  types = TYPES,
  store: SeeingStore = new SeenStore(),
): Promise<Started> {
  class Shop {
    [method: string]: (...args: unknown[]) => unknown;
  }
  for (const { name, make, returns } of kinds) {
    const value = async (_key: unknown): Promise<unknown> => {
      runs += 1;
      return Promise.resolve(make());
    };
    const descriptor = { value, configurable: true, writable: true };
    Idempotent({ key: arg(0), returns })(Shop.prototype, name, descriptor);
    Object.defineProperty(Shop.prototype, name, descriptor);
  }
  @Module({ imports: [IdempotencyModule.forRoot({ store, types })], providers: [Shop] })
  class App {}
  const logger = collecting(warnings);
  const app = await NestFactory.createApplicationContext(App, { logger, abortOnError: false });
  const idempotency = app.get(IdempotencyService);
  return {
    ask: {
      'a method': (kind) => (key) => app.get(Shop)[kind.name]!(key) as Promise<unknown>,
      'run()': (kind) => (key) =>
        idempotency.run({ scope: kind.name, key, returns: kind.returns }, () => {
          runs += 1;
          return kind.make();
        }),
      // Each call is one more attempt.
      'a step': (kind) => async (key) => {
        let result: unknown;
        const scope = `${kind.name} in a step`;
        const operation = idempotency.run({ scope, key }, async (op) => {
          const make = (): unknown => {
            runs += 1;
            return kind.make();
          };
          result = await op.step('make', make, { returns: kind.returns });
          throw new AfterTheStep();
        });
        await operation.catch((error: unknown) => {
          if (!(error instanceof AfterTheStep)) throw error;
        });
        return result;
      },
    },
    store,
    close: () => app.close(),
  };
}

/** What methods and `run()` give back of these kinds of values, with and without known types. */
export function describeInProcess(kinds: readonly Kind[], storeOf?: () => SeeingStore): void {
  describe.each(WAYS)('what %s returns', (way) => {
    let unaware: Started;
    let aware: Started;
    const libraries = LIBRARIES.map(([name, one]): Kind => {
      const make = (): unknown => ({ total: one(), list: [one()] });
      return { name, make, outcome: { notKept: 'value.total is' } };
    });
    beforeAll(async () => {
      unaware = await start([...kinds, ...libraries], [], storeOf?.());
      aware = await start(libraries);
    });
    afterAll(async () => {
      await unaware?.close();
      await aware?.close();
    });
    beforeEach(() => {
      runs = 0;
    });

    test.each(kinds.map((kind) => [kind.name, kind] as const))('%s', async (_, kind) => {
      await expectOutcome(unaware, kind, kind.outcome);
    });

    test.each(libraries.map((kind) => [kind.name, kind] as const))(
      '%s: itself where it is registered, else a tombstone',
      async (_, kind) => {
        await expectOutcome(aware, kind, 'equal');
        runs = 0;
        await expectOutcome(unaware, kind, kind.outcome);
      },
    );

    async function expectOutcome(app: Started, kind: Kind, outcome: Outcome): Promise<void> {
      const ask = app.ask[way](kind);
      const first = await ask('A');
      const second = await ask('A').catch((error: unknown) => error);
      if (typeof outcome === 'object') {
        if (!isIdempotencyError(second)) throw new Error(`It was replayed: ${inspect(second)}`);
        expect(second.code).toBe(
          way === 'a step' ? 'IDEMPOTENCY_OUTCOME_UNKNOWN' : 'IDEMPOTENCY_REPLY_NOT_KEPT',
        );
        await ask('B');
        const [warning, ...others] = warnings.splice(0);
        expect(warning).toContain(outcome.notKept);
        expect(warning).toContain(kind.name);
        // Once, however many calls follow.
        expect(others).toEqual([]);
        expect(app.store.contains(SECRET)).toBe(false);
      } else {
        const expected = outcome === 'equal' ? first : dataOf(first);
        if (!isDeepStrictEqual(second, expected))
          throw new Error(`${inspect(second)} is not ${inspect(expected)}`);
        if (typeof first === 'object' && first !== null) expect(second).not.toBe(first);
        expect(warnings.splice(0)).toEqual([]);
      }
      expect(runs).toBe(typeof outcome === 'object' ? 2 : 1);
    }
  });
}

/** A plain object, or an error of the language, with the same properties. */
function dataOf(value: unknown): unknown {
  if (!(value instanceof Error)) return { ...(value as object) };
  const error = new Error(value.message);
  error.stack = value.stack;
  return Object.assign(error, value);
}
