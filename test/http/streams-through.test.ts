import { Controller, Get, HttpException, Post, Res, Sse, StreamableFile } from '@nestjs/common';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import { IdempotencyService, Idempotent, MemoryStore } from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { EMPTY, type Observable } from 'rxjs';
import {
  boot,
  bootError,
  eventually,
  expectProblem,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

let runs = 0;
let gates: Gate[];

const rawOf = (response: Response & FastifyReply): ServerResponse => {
  runs += 1;
  if (!('raw' in response)) return response;
  response.hijack();
  return response.raw;
};

@Controller()
class Streams {
  @Idempotent({ stream: 'through' })
  @Post('pieces')
  async pieces(@Res() response: Response & FastifyReply): Promise<void> {
    const raw = rawOf(response);
    raw.setHeader('X-Own', 'yes');
    raw.flushHeaders();
    await gates[0]!.pass();
    raw.write('one ');
    await gates[1]!.pass();
    raw.end('two');
  }

  @Idempotent({ stream: 'through', onRecordFailure: 'fail' })
  @Post('pieces-or-nothing')
  piecesOrNothing(@Res() response: Response & FastifyReply): Promise<void> {
    return this.pieces(response);
  }

  @Idempotent({ stream: 'through', onRecordFailure: 'fail' })
  @Post('length-or-nothing')
  lengthOrNothing(@Res() response: Response & FastifyReply): Promise<void> {
    return this.length(response);
  }

  /** A client that knows the length would take the reply for complete before its end. */
  @Idempotent({ stream: 'through' })
  @Post('length')
  async length(@Res() response: Response & FastifyReply): Promise<void> {
    const raw = rawOf(response);
    raw.writeHead(200, { 'Content-Length': 7 });
    raw.write('one ');
    raw.write('two');
    await gates[0]!.pass();
    raw.end();
  }

  @Idempotent({ stream: 'through' })
  @Post('file')
  async file(): Promise<StreamableFile> {
    runs += 1;
    const source = new PassThrough();
    source.write('one ');
    void gates[0]!.pass().then(() => source.end('two'));
    return new StreamableFile(source);
  }

  @Idempotent({ stream: 'through' })
  @Post('value')
  value(): unknown {
    runs += 1;
    return { plain: true };
  }

  @Idempotent({ stream: 'through' })
  @Post('refused')
  refused(): never {
    runs += 1;
    throw new HttpException('no', 422);
  }

  @Idempotent({ stream: 'through' })
  @Post('breaks')
  async breaks(@Res() response: Response & FastifyReply): Promise<void> {
    const raw = rawOf(response);
    raw.write('one ');
    await gates[0]!.pass();
    if (runs === 1) {
      raw.destroy(new Error('the source is gone'));
      throw new Error('the source is gone');
    }
    raw.end('two');
  }

  @Idempotent()
  @Post('held')
  async held(@Res() response: Response & FastifyReply): Promise<void> {
    const raw = rawOf(response);
    raw.flushHeaders();
    raw.write('one ');
    await gates[0]!.pass();
    raw.end('two');
  }
}

/** A reply of which a test sees what has come so far. */
interface Incoming {
  readonly response: IncomingMessage | undefined;
  readonly text: string;
  /** `end`, or `aborted` if the connection broke off. */
  readonly how: string | undefined;
  leave(): void;
}

function open(port: number, path: string, key: string): Incoming {
  let response: IncomingMessage | undefined;
  let text = '';
  let how: string | undefined;
  const sent = request(
    { port, path, method: 'POST', headers: { 'idempotency-key': key, 'content-length': '0' } },
    (incoming) => {
      response = incoming;
      incoming.on('data', (piece: Buffer) => (text += piece.toString()));
      incoming.on('end', () => (how ??= 'end'));
      incoming.on('error', () => (how ??= 'aborted'));
    },
  );
  sent.on('error', () => (how ??= 'aborted'));
  sent.end();
  return {
    get response() {
      return response;
    },
    get text() {
      return text;
    },
    get how() {
      return how;
    },
    leave: () => void sent.destroy(),
  };
}

describe.each(PLATFORMS)("a reply with stream: 'through' on %s", (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;

  beforeAll(async () => {
    store = new FaultInjectingStore(new MemoryStore());
    test = await boot(platform, {
      controllers: [Streams],
      idempotency: { store, maxResponseBytes: 64 },
    });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = 0;
    gates = [new Gate(), new Gate()];
    store.heal();
  });

  it('leaves as it comes, and is replayed whole', async () => {
    const first = open(test.port, '/pieces', 'pieces');
    await eventually(() => first.response);
    expect(first.response!.headers['x-own']).toBe('yes');
    expect(first.text).toBe('');
    gates[0]!.open();
    await eventually(() => first.text === 'one ');
    expectProblem(await test.send('/pieces', { key: 'pieces' }), 409, 'IDEMPOTENCY_KEY_IN_USE');
    gates[1]!.open();
    await eventually(() => first.how);
    expect(first).toMatchObject({ text: 'one two', how: 'end' });
    const replay = await test.send('/pieces', { key: 'pieces' });
    expect(replay).toMatchObject({ text: 'one two', headers: { 'x-own': 'yes' } });
    expect(replay.headers['idempotent-replayed']).toBe('true');
    expect(runs).toBe(1);
  });

  it.each([
    ['pieces', 'one ', 'two'],
    ['length', 'one tw', 'o'],
    ['file', 'one two', ''],
  ])('of %s ends only when it is on record', async (path, before, last) => {
    const recorded = new Gate();
    store.next('complete', async (ask) => {
      await recorded.pass();
      return ask();
    });
    for (const gate of gates) gate.open();
    const first = open(test.port, `/${path}`, `end-${path}`);
    await recorded.reached();
    await eventually(() => first.text === before);
    expect(first.how).toBeUndefined();
    recorded.open();
    await eventually(() => first.how);
    expect(first).toMatchObject({ text: before + last, how: 'end' });
    expect((await test.send(`/${path}`, { key: `end-${path}` })).text).toBe('one two');
    expect(runs).toBe(1);
  });

  it('that does not stream is as any other', async () => {
    for (const [path, status] of [
      ['/value', 201],
      ['/refused', 422],
    ] as const) {
      const first = await test.send(path, { key: path });
      const second = await test.send(path, { key: path });
      expect([first.status, second.status, second.text]).toEqual([status, status, first.text]);
      expect(second.headers['idempotent-replayed']).toBe('true');
    }
    expect(runs).toBe(2);
  });

  it('that breaks off is broken off for its client, and runs again', async () => {
    const first = open(test.port, '/breaks', 'breaks');
    await eventually(() => first.text === 'one ');
    gates[0]!.open();
    await eventually(() => first.how);
    expect(first.how).toBe('aborted');
    await eventually(async () => (await test.send('/breaks', { key: 'breaks' })).status !== 409);
    expect((await test.send('/breaks', { key: 'breaks' })).text).toBe('one two');
    expect(runs).toBe(2);
  });

  it('goes on without its client, and is on record', async () => {
    gates[0]!.open();
    const first = open(test.port, '/pieces', 'gone');
    await eventually(() => first.text === 'one ');
    first.leave();
    await eventually(() => first.how);
    gates[1]!.open();
    await eventually(async () => (await test.send('/pieces', { key: 'gone' })).status !== 409);
    expect((await test.send('/pieces', { key: 'gone' })).text).toBe('one two');
    expect(runs).toBe(1);
  });

  it('never looks complete if another attempt has taken over', async () => {
    store.next('complete', () => Promise.resolve(false));
    gates[0]!.open();
    const first = open(test.port, '/pieces', 'lost');
    await eventually(() => first.text === 'one ');
    gates[1]!.open();
    await eventually(() => first.how);
    expect(first.how).toBe('aborted');
  });

  it.each(['pieces', 'length', 'file'])(
    'of %s is whole if the store fails at its end, and recorded later',
    async (path) => {
      store.always('complete', failBefore());
      for (const gate of gates) gate.open();
      const first = open(test.port, `/${path}`, `late-${path}`);
      await eventually(() => first.how);
      expect(first).toMatchObject({ text: 'one two', how: 'end' });
      // This process knows what it has not recorded yet.
      expect((await test.send(`/${path}`, { key: `late-${path}` })).text).toBe('one two');
      store.heal();
      const ref = { scope: `POST /${path}`, key: `late-${path}` };
      const idempotency = test.app.get(IdempotencyService);
      await eventually(async () => (await idempotency.find(ref))?.state === 'completed');
      expect(runs).toBe(1);
    },
  );

  it.each([
    ['pieces-or-nothing', 'one two'],
    ['length-or-nothing', 'one tw'],
  ])('of %s never looks complete if only replies on record may leave', async (path, before) => {
    store.always('complete', failBefore());
    for (const gate of gates) gate.open();
    const first = open(test.port, `/${path}`, path);
    await eventually(() => first.how);
    expect(first.how).toBe('aborted');
    expect(before.startsWith(first.text)).toBe(true);
    expectProblem(await test.send(`/${path}`, { key: path }), 409, 'IDEMPOTENCY_KEY_IN_USE');
    store.heal();
    await eventually(async () => (await test.send(`/${path}`, { key: path })).text === 'one two');
    expect(runs).toBe(1);
  });

  it('is held back without the option, even if the handler flushes', async () => {
    const first = open(test.port, '/held', 'held');
    await gates[0]!.reached();
    expect(first.response).toBeUndefined();
    gates[0]!.open();
    await eventually(() => first.how);
    expect(first).toMatchObject({ text: 'one two', how: 'end' });
  });
});

describe("stream: 'through' stops the application", () => {
  @Controller()
  class Events {
    @Get('events')
    @Sse('events')
    @Idempotent({ stream: 'through' })
    events(): Observable<never> {
      return EMPTY;
    }
  }

  @Controller()
  class Typo {
    @Post()
    @Idempotent({ stream: 'trough' as 'through' })
    typo(): void {}
  }

  it.each([
    ['on an event stream', Events, /@Sse\(\)/],
    ['when it is misspelt', Typo, /stream of Typo\.typo.*'hold' or 'through'/s],
  ])('%s', async (_name, controller, message) => {
    const error = await bootError('express', { controllers: [controller] });
    expect(error.message).toMatch(message);
  });
});
