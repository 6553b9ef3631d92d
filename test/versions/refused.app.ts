import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Header,
  HttpException,
  Inject,
  Injectable,
  type INestApplication,
  Post,
  Get,
} from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import {
  arg,
  IdempotencyException,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import { createIdempotentFetch } from 'nestjs-idempotency/client';
import { boot, type Platform, type Reply } from '../support/http.js';

/** Every place in a request that a refusal may come from. */
@Injectable()
class Payments {
  @Idempotent({ key: arg(0) })
  async pay(orderNo: string, amount: number): Promise<string> {
    return `${orderNo}: ${amount}`;
  }
}

/** Nest has never seen it, and its method has no key: it cannot be protected. */
class Stranger {
  @Idempotent()
  async pay(orderNo: string): Promise<string> {
    return orderNo;
  }
}

@Controller()
class Refused {
  static payments = 0;
  private readonly entered = new Set<() => void>();

  constructor(
    @Inject(IdempotencyService) private readonly idempotency: IdempotencyService,
    @Inject(Payments) private readonly payments: Payments,
  ) {}

  @Idempotent()
  @Post('guard')
  guard(): string {
    return 'done';
  }

  @Idempotent()
  @Header('Content-Type', 'text/csv')
  @Post('content')
  content(): string {
    return 'done';
  }

  @Idempotent({ retryAfter: '2s' })
  @Post('busy')
  busy(): Promise<string> {
    return new Promise((resolve) => this.entered.add(() => resolve('done')));
  }

  @Get('finish')
  finish(): string {
    for (const end of this.entered) end();
    return 'done';
  }

  @Idempotent()
  @Post('handler')
  handler(): never {
    throw new IdempotencyException('IDEMPOTENCY_STATE_CONFLICT', { members: { current: 'PAID' } });
  }

  @Post('run')
  async run(): Promise<string> {
    await this.idempotency.run({ scope: 'run', key: '1', content: 'a' }, () => 'done');
    return this.idempotency.run({ scope: 'run', key: '1', content: 'b' }, () => 'done');
  }

  /** The refusal is what the outer operation ended with, and what its record says. */
  @Post('kept')
  kept(): Promise<string> {
    const inner = { scope: 'inner', key: '1' };
    return this.idempotency.run({ scope: 'outer', key: '1' }, async () => {
      await this.idempotency.run({ ...inner, content: 'a' }, () => 'done');
      return this.idempotency.run({ ...inner, content: 'b' }, () => 'done');
    });
  }

  @Post('service')
  async service(): Promise<string> {
    await this.payments.pay('order-1', 5);
    return this.payments.pay('order-1', 6);
  }

  @Post('stranger')
  stranger(): Promise<string> {
    return new Stranger().pay('order-1');
  }

  @Idempotent()
  @Post('held')
  async held(@Operation() operation: IdempotentOperation): Promise<never> {
    Refused.payments++;
    await operation.hold('money may have moved');
    throw new HttpException('The bank did not answer.', 502);
  }

  @Post('other')
  other(): never {
    throw new HttpException({ code: 'OTHER' }, 409);
  }
}

/** The filters that applications have. */
@Catch()
class Reshaping implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const status = error instanceof HttpException ? error.getStatus() : 500;
    const response = host.switchToHttp().getResponse<{
      status(status: number): { send(body: object): unknown };
    }>();
    response.status(status).send({ failed: true });
  }
}

@Catch()
class Reporting extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): void {
    super.catch(error, host);
  }
}

@Catch(HttpException)
class Forwarding implements ExceptionFilter {
  constructor(private readonly app: INestApplication) {}

  catch(error: HttpException, host: ArgumentsHost): void {
    const { httpAdapter } = this.app.get(HttpAdapterHost);
    httpAdapter.reply(host.switchToHttp().getResponse(), error.getResponse(), error.getStatus());
  }
}

export const FILTERS = ['none', 'reporting', 'forwarding', 'reshaping'] as const;
export type FilterName = (typeof FILTERS)[number];

/** What a client sees of one refusal. */
export interface Seen {
  readonly status: number;
  readonly type: string | undefined;
  readonly error: string | undefined;
  readonly retryAfter: string | undefined;
  readonly link: string | undefined;
  readonly exposed: string | undefined;
  readonly body: unknown;
}

export interface Refusals {
  readonly seen: Readonly<Record<string, Seen>>;
  /** How often a held payment ran that was pressed three times. */
  readonly payments: number;
  /** Warnings and errors in the log. */
  readonly complaints: readonly string[];
}

const BASE_URL = 'https://api.example.com/problems/';

/** Has everything refused that the application refuses, and tells what came. */
export async function collectRefusals(
  platform: Platform,
  filter: FilterName,
  isDocumented: boolean,
): Promise<Refusals> {
  const test = await boot(platform, {
    controllers: [Refused],
    providers: [Payments],
    idempotency: {
      principal: () => undefined,
      ...(isDocumented && { problemBaseUrl: BASE_URL }),
    },
    configure: (app) => {
      app.enableCors();
      if (filter === 'reshaping') app.useGlobalFilters(new Reshaping());
      if (filter === 'reporting') app.useGlobalFilters(new Reporting(app.getHttpAdapter()));
      if (filter === 'forwarding') app.useGlobalFilters(new Forwarding(app));
    },
  });
  try {
    const seen: Record<string, Seen> = {};
    for (const path of ['guard', 'content', 'run', 'kept', 'service', 'stranger', 'other'])
      seen[path] = summary(await test.send(`/${path}`));
    seen['kept'] = summary(await test.send('/kept'));
    seen['handler'] = summary(await test.send('/handler', { key: 'h' }));
    seen['replay'] = summary(await test.send('/handler', { key: 'h' }));
    const first = test.send('/busy', { key: 'b' });
    do seen['busy'] = summary(await Promise.race([test.send('/busy', { key: 'b' }), first]));
    while (seen['busy'].status !== 409);
    await test.send('/finish', { method: 'GET' });
    await first;
    Refused.payments = 0;
    const send = createIdempotentFetch({ baseDelayMs: 1, maxDelayMs: 5, deadlineMs: 20_000 });
    for (let press = 1; press <= 3; press++)
      await send(`http://127.0.0.1:${test.port}/held`, { method: 'POST', intent: 'pay' });
    return { seen, payments: Refused.payments, complaints: [...test.complaints] };
  } finally {
    await test.close();
  }
}

function summary({ status, headers, text }: Reply): Seen {
  return {
    status,
    type: headers['content-type'],
    error: headers['idempotency-error']?.toString(),
    retryAfter: headers['retry-after'],
    link: headers['link']?.toString(),
    exposed: headers['access-control-expose-headers'],
    body: JSON.parse(text) as unknown,
  };
}

const EXPECTED = {
  guard: [400, 'IDEMPOTENCY_KEY_REQUIRED'],
  content: [400, 'IDEMPOTENCY_KEY_REQUIRED'],
  run: [422, 'IDEMPOTENCY_KEY_REUSED'],
  kept: [422, 'IDEMPOTENCY_KEY_REUSED'],
  service: [422, 'IDEMPOTENCY_KEY_REUSED'],
  stranger: [500, 'IDEMPOTENCY_NOT_PROTECTED'],
  handler: [409, 'IDEMPOTENCY_STATE_CONFLICT'],
  busy: [409, 'IDEMPOTENCY_KEY_IN_USE'],
} as const;

/** What is wrong with what was seen, in words; nothing when all is as it should be. */
export function faultsOf(
  { seen, payments, complaints }: Refusals,
  filter: FilterName,
  isDocumented: boolean,
): string[] {
  const faults: string[] = [];
  const check = (name: string, what: string, actual: unknown, expected: unknown): void => {
    if (JSON.stringify(actual) !== JSON.stringify(expected))
      faults.push(`${name}: ${what} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
  };
  for (const [name, [status, code]] of Object.entries(EXPECTED)) {
    const { body, ...head } = seen[name]!;
    const word = code.slice('IDEMPOTENCY_'.length).toLowerCase().replaceAll('_', '-');
    const type = isDocumented ? `${BASE_URL}${word}` : `urn:nestjs-idempotency:problem:${word}`;
    check(name, 'status', head.status, status);
    check(name, 'Idempotency-Error', head.error, code);
    check(name, 'Link', head.link, isDocumented ? `<${type}>; rel="describedby"` : undefined);
    check(name, 'Retry-After', head.retryAfter, name === 'busy' ? '2' : undefined);
    check(name, 'is exposed', head.exposed?.includes('Idempotency-Error'), true);
    if (filter === 'reshaping') {
      check(name, 'body', body, { failed: true });
      continue;
    }
    check(name, 'Content-Type', head.type, 'application/problem+json');
    const { type: sent, code: said, status: meant } = body as Record<string, unknown>;
    check(name, 'body', { sent, said, meant }, { sent: type, said: code, meant: status });
  }
  check('the held payment', 'number of runs', payments, 1);
  check('replay', 'all', { ...seen['replay'], exposed: '' }, { ...seen['handler'], exposed: '' });
  check('other', 'status', seen['other']!.status, 409);
  check('other', 'Idempotency-Error', seen['other']!.error, undefined);
  if (filter !== 'reshaping')
    check('other', 'Content-Type', seen['other']!.type?.startsWith('application/json'), true);
  // What nobody can protect is told to whoever runs the application, and nothing else is.
  for (const line of complaints)
    if (!line.includes('IDEMPOTENCY_NOT_PROTECTED')) faults.push(`the log says: ${line}`);
  if (!complaints.some((line) => line.includes('IDEMPOTENCY_NOT_PROTECTED')))
    faults.push('the log says nothing of what is not protected');
  return faults;
}
