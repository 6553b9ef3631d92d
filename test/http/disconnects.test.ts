import { Controller, Post, Query, Res, StreamableFile, UseGuards } from '@nestjs/common';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import { IdempotencyService, Idempotent, MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore, Gate, ManualClock } from 'nestjs-idempotency/testing';
import { Readable } from 'node:stream';
import {
  boot,
  eventually,
  expectProblem,
  PLATFORMS,
  requestText,
  type TestApp,
} from '../support/http.js';

const LEASE_MS = 30_000;
let runs = 0;
let gate = new Gate();

const waitAtTheDoor = {
  async canActivate(): Promise<boolean> {
    await gate.pass();
    return true;
  },
};

/** One part, then the gate, then the other part. */
function gatedStream(first: string, second: string): Readable {
  return Readable.from(
    (async function* () {
      yield Buffer.from(first);
      await gate.pass();
      yield Buffer.from(second);
    })(),
  );
}

@Controller()
class Slow {
  @Idempotent()
  @Post('plain')
  async plain(@Query('fails') fails?: string): Promise<unknown> {
    const run = ++runs;
    await gate.pass();
    if (fails !== undefined && run === 1) throw new Error('failed for nobody');
    return { run };
  }

  @Idempotent({ wait: '60s' })
  @Post('waiting')
  async waiting(@Query('fails') fails?: string): Promise<unknown> {
    return this.plain(fails);
  }

  @Idempotent()
  @UseGuards(waitAtTheDoor)
  @Post('guarded')
  guarded(): unknown {
    return { run: ++runs };
  }

  @Idempotent()
  @Post('writes')
  async writes(@Res() response: Response & FastifyReply): Promise<void> {
    runs += 1;
    response.hijack?.();
    const raw = response.raw ?? response;
    raw.setHeader('Content-Type', 'text/plain');
    raw.write('first, ');
    await gate.pass();
    raw.end('second');
  }

  @Idempotent()
  @Post('file')
  file(): StreamableFile {
    runs += 1;
    return new StreamableFile(gatedStream('first, ', 'second'));
  }

  @Idempotent()
  @Post('large-file')
  largeFile(): StreamableFile {
    runs += 1;
    return new StreamableFile(gatedStream('x'.repeat(200_000), 'end'));
  }

  @Idempotent()
  @Post('piped')
  piped(@Res() response: Response & FastifyReply): void {
    runs += 1;
    void gate.pass();
    response.hijack?.();
    gatedStream('first, ', 'second').pipe(response.raw ?? response);
  }

  @Idempotent()
  @Post('silent')
  silent(@Res() response: Response & FastifyReply): void {
    runs += 1;
    response.hijack?.();
    void gate.pass();
  }

  @Idempotent()
  @Post('half')
  half(@Res() response: Response & FastifyReply): void {
    runs += 1;
    response.hijack?.();
    (response.raw ?? response).write('and then nothing');
    void gate.pass();
  }
}

describe.each(PLATFORMS)('a client that leaves on %s', (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let clock: ManualClock;

  beforeEach(async () => {
    runs = 0;
    gate = new Gate();
    clock = new ManualClock();
    store = new FaultInjectingStore(new MemoryStore({ clock }));
    test = await boot(platform, {
      controllers: [Slow],
      clock,
      idempotency: { store, maxResponseBytes: 100_000 },
    });
  });
  afterEach(async () => {
    gate.open();
    // An operation that a failed test has left must not keep the application from its end.
    await clock.advance(10 * LEASE_MS);
    await test.close();
  });

  const send = (path: string) => test.send(path, { key: 'k' });
  const find = (path: string) =>
    test.app.get(IdempotencyService).find({ scope: `POST ${path}`, key: 'k' });
  const connections = () =>
    new Promise<number>((resolve) =>
      test.app.getHttpServer().getConnections((_error: unknown, count: number) => resolve(count)),
    );

  /** Sends a request, and leaves as soon as the gate is reached. The server has noticed. */
  async function sendAndLeave(path: string): Promise<void> {
    const connection = await test.raw(requestText(path, ['Idempotency-Key: k']));
    await gate.reached();
    await connection.leave();
    await eventually(async () => (await connections()) === 0);
  }

  it.each([
    ['before the reply', '/plain', '{"run":1}'],
    ['before the handler', '/guarded', '{"run":1}'],
    ['while the handler writes', '/writes', 'first, second'],
  ])('%s gets the reply with its retry', async (_name, path, text) => {
    await sendAndLeave(path);
    gate.open();
    await eventually(async () => (await find(path))?.state === 'completed');
    const retry = await send(path);
    expect(retry).toMatchObject({ text, headers: { 'idempotent-replayed': 'true' } });
    expect(runs).toBe(1);
    expect(test.complaints).toEqual([]);
  });

  it('before a failure frees the key all the same', async () => {
    await sendAndLeave('/plain?fails=yes');
    gate.open();
    await eventually(async () => (await find('/plain'))?.state === 'released');
    expect((await send('/plain?fails=yes')).json()).toEqual({ run: 2 });
  });

  it('while the handler runs is still refused a second run', async () => {
    await sendAndLeave('/plain');
    expectProblem(await send('/plain'), 409, 'IDEMPOTENCY_KEY_IN_USE');
    await clock.advance(10 * LEASE_MS);
    expectProblem(await send('/plain'), 409, 'IDEMPOTENCY_KEY_IN_USE');
    gate.open();
    await eventually(async () => (await find('/plain'))?.state === 'completed');
    expect((await send('/plain')).json()).toEqual({ run: 1 });
  });

  it('while it waits for another call leaves that one alone', async () => {
    const first = send('/waiting');
    await gate.reached();
    const timers = clock.pendingTimers;
    const second = await test.raw(requestText('/waiting', ['Idempotency-Key: k']));
    await eventually(() => clock.pendingTimers > timers);
    await second.leave();
    await eventually(async () => (await connections()) === 1);
    gate.open();
    expect((await first).json()).toEqual({ run: 1 });
    expect((await send('/waiting')).json()).toEqual({ run: 1 });
    expect(runs).toBe(1);
  });

  it('while it waits does not inherit the operation', async () => {
    const first = send('/waiting?fails=yes');
    await gate.reached();
    const timers = clock.pendingTimers;
    const second = await test.raw(requestText('/waiting?fails=yes', ['Idempotency-Key: k']));
    await eventually(() => clock.pendingTimers > timers);
    await second.leave();
    await eventually(async () => (await connections()) === 1);
    gate.open();
    expect((await first).status).toBe(500);
    await new Promise((resolve) => setImmediate(resolve));
    expect({ runs, claims: store.count('acquire') }).toEqual({ runs: 1, claims: 1 });
    expect((await send('/waiting?fails=yes')).json()).toEqual({ run: 2 });
  });

  it.each(['/file', '/large-file', '/piped'])(
    'during a streamed reply, which ends with the client, is told that it is done: %s',
    async (path) => {
      await sendAndLeave(path);
      // Frameworks have stopped the stream, or will not take any more of it.
      await eventually(async () => {
        await clock.advance(LEASE_MS);
        return (await find(path))?.state === 'completed';
      });
      expectProblem(await send(path), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
    },
  );

  it.each(['/silent', '/half'])(
    'without a reply in sight does not keep the key for ever: %s',
    async (path) => {
      await sendAndLeave(path);
      expectProblem(await send(path), 409, 'IDEMPOTENCY_KEY_IN_USE');
      await clock.advance(2 * LEASE_MS);
      expectProblem(await send(path), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
      expect(clock.pendingTimers).toBe(0);
    },
  );

  it('may be as patient as it likes', async () => {
    const first = send('/plain');
    await gate.reached();
    await clock.advance(10 * LEASE_MS);
    expectProblem(await send('/plain'), 409, 'IDEMPOTENCY_KEY_IN_USE');
    expect(store.count('extend')).toBeGreaterThanOrEqual(20);
    gate.open();
    expect((await first).json()).toEqual({ run: 1 });
    expect((await send('/plain')).headers['idempotent-replayed']).toBe('true');
    expect(clock.pendingTimers).toBe(0);
  });
});
