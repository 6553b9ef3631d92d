import { Controller, Injectable, Param, Post } from '@nestjs/common';
import { arg, IdempotencyService, Idempotent, MemoryStore } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { boot, eventually, PLATFORMS, type TestApp } from '../support/http.js';

let runs: string[] = [];
/** What code has come to that outlived the run in which it was begun. */
let outcomes: unknown[] = [];
let outlive: (code: () => Promise<unknown>) => void;
let gate = new Gate();
const emitter = new EventEmitter();

function inTheEnd(code: () => Promise<unknown>): () => void {
  return () => {
    void code().then(
      (value) => outcomes.push(value),
      (error: unknown) => outcomes.push(error),
    );
  };
}

/** How code outlives a run. All of them keep the context that they were begun in. */
const WAYS: Readonly<Record<string, typeof outlive>> = {
  'a timer': (code) => setTimeout(inTheEnd(code), 30),
  'a listener': (code) => emitter.once('later', AsyncResource.bind(inTheEnd(code))),
  'a promise': (code) => void gate.pass().then(inTheEnd(code)),
};

@Injectable()
class Ledger {
  constructor(private readonly idempotency: IdempotencyService) {}

  @Idempotent({ key: arg(0) })
  async book(id: string): Promise<string> {
    runs.push(`book ${id}`);
    if (runs.length === 1) outlive(() => this.book(id));
    return Promise.resolve(`booked ${id} by run ${runs.length}`);
  }

  @Idempotent({ key: arg(0) })
  async bookWithin(id: string): Promise<string> {
    runs.push(`within ${id}`);
    return runs.length === 1 ? this.bookWithin(id) : `booked ${id} by run ${runs.length}`;
  }

  @Idempotent({ key: arg(0) })
  async ask(_id: string): Promise<boolean> {
    outlive(async () => Promise.resolve(this.idempotency.current()));
    return Promise.resolve(this.idempotency.current() !== undefined);
  }

  run(id: string): Promise<string> {
    return this.idempotency.run({ scope: 'ledger', key: id }, async () => {
      runs.push(`run ${id}`);
      if (runs.length === 1) outlive(() => this.run(id));
      return Promise.resolve(`run ${runs.length}`);
    });
  }

  /** The method is called for the first time when the run around it is over. */
  runThenBook(id: string): Promise<string> {
    return this.idempotency.run({ scope: 'ledger', key: id }, async () => {
      outlive(() => this.bookWithin(id));
      return Promise.resolve('begun');
    });
  }
}

@Controller()
class Payments {
  constructor(
    private readonly ledger: Ledger,
    private readonly idempotency: IdempotencyService,
  ) {}

  @Idempotent()
  @Post('pay/:id')
  async pay(@Param('id') id: string): Promise<unknown> {
    runs.push(`pay ${id}`);
    outlive(async () => [
      this.idempotency.current(),
      await this.ledger.bookWithin(id),
      await this.ledger.bookWithin(id),
    ]);
    return Promise.resolve({ paid: id });
  }
}

describe.each(PLATFORMS)('code that outlives its run, on %s', (platform) => {
  let test: TestApp;
  let ledger: Ledger;

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Payments],
      providers: [Ledger],
      idempotency: { store: new MemoryStore() },
    });
    ledger = test.app.get(Ledger);
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = [];
    outcomes = [];
    gate = new Gate();
  });

  /** Lets it come to its late part. */
  async function later(): Promise<unknown> {
    emitter.emit('later');
    gate.open();
    await eventually(() => outcomes.length > 0);
    return outcomes[0];
  }

  describe.each(Object.entries(WAYS))('in %s', (way, begin) => {
    const key = (name: string): string => `${name} ${way} ${platform}`;
    beforeEach(() => (outlive = begin));

    it('calls a method as any code does: a duplicate gets what is on record', async () => {
      const id = key('book');
      expect(await ledger.book(id)).toBe(`booked ${id} by run 1`);
      expect(await later()).toBe(`booked ${id} by run 1`);
      expect(runs).toEqual([`book ${id}`]);
    });

    it('calls run() as any code does', async () => {
      const id = key('run');
      expect(await ledger.run(id)).toBe('run 1');
      expect(await later()).toBe('run 1');
      expect(runs).toEqual([`run ${id}`]);
    });

    it('may begin an operation of its own, which is whole: it can contain itself', async () => {
      const id = key('own');
      expect(await ledger.runThenBook(id)).toBe('begun');
      expect(await later()).toBe(`booked ${id} by run 2`);
      expect(await ledger.bookWithin(id)).toBe(`booked ${id} by run 2`);
      expect(runs).toEqual([`within ${id}`, `within ${id}`]);
    });

    it('is in no operation any more', async () => {
      expect(await ledger.ask(key('ask'))).toBe(true);
      expect(await later()).toBeUndefined();
    });

    it('of a route is in no operation, and what it calls is protected', async () => {
      const id = `route-${way.replace(' ', '-')}`;
      expect((await test.send(`/pay/${id}`, { key: id })).json()).toEqual({ paid: id });
      const [current, first, second] = (await later()) as [unknown, string, string];
      expect(current).toBeUndefined();
      expect(first).toBe(`booked ${id} by run 2`);
      expect(second).toBe(first);
      expect(runs).toEqual([`pay ${id}`, `within ${id}`]);
    });
  });
});
