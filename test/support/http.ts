import type {
  DynamicModule,
  INestApplication,
  LoggerService,
  ModuleMetadata,
  Type,
} from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IdempotencyModule } from 'nestjs-idempotency';
import { type Clock, IDEMPOTENCY_CLOCK } from 'nestjs-idempotency/contracts';
import { createHash } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';

export const PLATFORMS = ['express', 'fastify'] as const;
export type Platform = (typeof PLATFORMS)[number];

type ModuleOptions = NonNullable<Parameters<typeof IdempotencyModule.forRoot>[0]>;

/**
 * For stores that answer: however busy the machine is, and however many calls share a connection, none
 * of them takes a store for one that is down.
 */
export const PATIENT = { storeTimeout: '30s' } as const satisfies ModuleOptions;

/** What the application of a test is made of. */
export interface AppOptions extends Pick<ModuleMetadata, 'imports' | 'providers'> {
  readonly controllers: Type[];
  readonly idempotency?: ModuleOptions;
  /** Instead of `forRoot()` with these options. */
  readonly module?: DynamicModule;
  /** Takes the place of the system clock: in the engine only, stores have their own. */
  readonly clock?: Clock;
  readonly rawBody?: boolean;
  /** More of Fastify's own options. */
  readonly fastify?: object;
  /** Called before the application listens. */
  readonly configure?: (app: INestApplication) => unknown;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** The fields after the body. */
  readonly trailers: NodeJS.Dict<string>;
  /** The body as UTF-8. */
  readonly text: string;
  /** The body, parsed; fails for what is not JSON. */
  readonly json: () => unknown;
}

export interface RequestOptions {
  readonly method?: string;
  /** The `Idempotency-Key`. */
  readonly key?: string;
  readonly headers?: Record<string, string | string[]>;
  /** Bytes and strings go as they are, everything else as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** An application that listens on a free port, with everything that it logged. */
export interface TestApp {
  readonly app: INestApplication;
  readonly port: number;
  /** Warnings and errors of Nest's logger, and of Fastify's own. */
  readonly complaints: string[];
  /** Warnings of callers that cannot be told apart: most tests send no credentials, and mean it. */
  readonly unknownCallers: string[];
  /** `POST` unless said otherwise. */
  send(path: string, options?: RequestOptions): Promise<Reply>;
  /** Writes text to a new connection as it is. */
  raw(text: string): Promise<RawConnection>;
  close(): Promise<void>;
}

/** A connection of which a test controls every byte. */
export interface RawConnection {
  readonly socket: Socket;
  /** Resolves with all that was received when the other side has closed the connection. */
  readonly received: Promise<string>;
  /** Breaks the connection off; resolves when that is done. */
  leave(): Promise<void>;
}

/** Boots an application; the caller closes it. */
export async function boot(platform: Platform, options: AppOptions): Promise<TestApp> {
  const complaints: string[] = [];
  const unknownCallers: string[] = [];
  const app = await create(platform, options, complaints, unknownCallers);
  await options.configure?.(app);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  const agent = new Agent({ keepAlive: false });
  return {
    app,
    port,
    complaints,
    unknownCallers,
    send: (path, request = {}) => send(agent, port, path, request),
    raw: (text) => openRaw(port, text),
    async close() {
      agent.destroy();
      app.getHttpServer().closeAllConnections();
      await app.close();
    },
  };
}

/** As {@link boot}, for an application that must not come up: what it failed with. */
export async function bootError(platform: Platform, options: AppOptions): Promise<Error> {
  const app = await create(platform, options, []).catch((error: unknown) => error as Error);
  if (app instanceof Error) return app;
  try {
    await options.configure?.(app);
    await app.init();
  } catch (error) {
    return error as Error;
  } finally {
    await app.close().catch(() => undefined);
  }
  throw new Error('The application booted.');
}

async function create(
  platform: Platform,
  {
    controllers,
    providers = [],
    imports = [],
    module,
    idempotency,
    clock,
    rawBody,
    fastify,
  }: AppOptions,
  complaints: string[],
  unknownCallers: string[] = [],
): Promise<INestApplication> {
  const own = module ?? IdempotencyModule.forRoot(idempotency);
  @Module({ imports: [own, ...imports], controllers, providers })
  class TestModule {}

  return NestFactory.create(withClock(TestModule, clock), adapter(platform, complaints, fastify), {
    logger: new ComplaintsLogger(complaints, unknownCallers),
    abortOnError: false,
    ...(rawBody === undefined ? {} : { rawBody }),
  });
}

/** The module's own provider of the clock is the only one that its engine sees. */
function withClock(module: Type, clock: Clock | undefined): Type {
  const imports = Reflect.getMetadata('imports', module) as { providers?: object[] }[];
  const own = imports[0]!;
  if (clock !== undefined)
    own.providers = [...(own.providers ?? []), { provide: IDEMPOTENCY_CLOCK, useValue: clock }];
  return module;
}

function adapter(
  platform: Platform,
  complaints: string[],
  fastify: object | undefined,
): ExpressAdapter {
  if (platform === 'express') return new ExpressAdapter();
  const stream = new Writable({
    write(line: Buffer, _encoding, done) {
      complaints.push(line.toString());
      done();
    },
  });
  return new FastifyAdapter({
    logger: { level: 'warn', stream },
    ...fastify,
  }) as unknown as ExpressAdapter;
}

class ComplaintsLogger implements LoggerService {
  constructor(
    private readonly complaints: string[],
    private readonly unknownCallers: string[],
  ) {}

  log(): void {}

  warn(...messages: unknown[]): void {
    const isOfCallers = String(messages[0]).includes('callers that cannot be told apart');
    (isOfCallers ? this.unknownCallers : this.complaints).push(messages.map(String).join(' '));
  }

  error(...messages: unknown[]): void {
    this.complaints.push(messages.map(String).join(' '));
  }
}

/** Like {@link TestApp.send}, to an application of another process. */
export function sendTo(port: number, path: string, options: RequestOptions = {}): Promise<Reply> {
  return send(new Agent({ keepAlive: false }), port, path, options);
}

function send(agent: Agent, port: number, path: string, options: RequestOptions): Promise<Reply> {
  const { key, body, method = 'POST', signal } = options;
  const headers: Record<string, string | string[]> = {};
  let bytes: string | Buffer | undefined;
  if (typeof body === 'string' || Buffer.isBuffer(body)) bytes = body;
  else if (body !== undefined) {
    bytes = JSON.stringify(body);
    headers['content-type'] = 'application/json';
  }
  if (key !== undefined) headers['idempotency-key'] = key;
  if (bytes !== undefined) headers['content-length'] = String(Buffer.byteLength(bytes));
  else if (method !== 'GET') headers['content-length'] = '0';
  return new Promise<Reply>((resolve, reject) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent,
        signal,
        headers: { ...headers, ...options.headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const all = Buffer.concat(chunks);
          const text = all.toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes: all,
            trailers: response.trailers,
            text,
            json: () => JSON.parse(text) as unknown,
          });
        });
      },
    );
    request.on('error', reject);
    request.end(bytes);
  });
}

async function openRaw(port: number, text: string): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', reject),
  );
  let all = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (all += chunk));
  socket.on('error', () => undefined);
  const received = new Promise<string>((resolve) => socket.once('close', () => resolve(all)));
  socket.write(text, 'latin1');
  return {
    socket,
    received,
    async leave() {
      socket.resetAndDestroy();
      await received;
    },
  };
}

/** The lines of a request, for {@link TestApp.raw}. The connection closes after the reply. */
export function requestText(path: string, lines: readonly string[], body = ''): string {
  return [
    `POST ${path} HTTP/1.1`,
    'Host: test',
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
    ...lines,
    '',
    body,
  ].join('\r\n');
}

/** Differ from message to message, whatever is replayed (framing, date, the marker itself). */
const PER_MESSAGE = [
  'connection',
  'content-length',
  'date',
  'idempotent-replayed',
  'keep-alive',
  'transfer-encoding',
];

/** What a replay must repeat. */
export function essence({ status, headers, bytes, trailers }: Reply): object {
  const kept = Object.entries(headers).filter(([name]) => !PER_MESSAGE.includes(name));
  // Differences between long texts take Jest minutes to print.
  const body =
    bytes.length > 4_096
      ? `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`
      : bytes.toString('latin1');
  return { status, headers: Object.fromEntries(kept), body, trailers };
}

/** Asserts that the second reply is the first one, marked as a replay. */
export function expectReplay(first: Reply, second: Reply): void {
  expect(first.headers).not.toHaveProperty('idempotent-replayed');
  expect(second.headers).toHaveProperty('idempotent-replayed', 'true');
  expect(essence(second)).toEqual(essence(first));
  // With trailers, a reply has no length.
  const { 'content-length': length, 'transfer-encoding': chunked } = second.headers;
  expect(chunked === 'chunked' || Number(length ?? 0) === second.bytes.length).toBe(true);
}

/** Asserts a refusal as problem details with this code. */
export function expectProblem(reply: Reply, status: number, code: string): void {
  expect({ status: reply.status, body: reply.text }).toMatchObject({ status });
  expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(reply.json()).toMatchObject({ status, code });
}

/** Resolves as soon as the condition is true; fails when that takes too long. */
export async function eventually(condition: () => unknown, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
