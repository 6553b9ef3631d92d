import {
  BadRequestException,
  Body,
  type CanActivate,
  ConflictException,
  ForbiddenException,
  Get,
  Header,
  Headers,
  HttpCode,
  Inject,
  type ModuleMetadata,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
  type Type,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { isIdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { Duration } from '../engine/duration.js';
import type { ListedState } from '../engine/store.js';
import type { SettledBy } from '../engine/story.js';
import { IdempotencyService } from '../idempotency.service.js';
import type { IncomingRequest } from '../keys/call.js';
import { isInvalidKeyError } from '../keys/key-source.js';
import { resolvePrincipal } from '../keys/principal.js';
import { recoveredReply } from '../operation/recovery.js';
import type {
  OperationList,
  OperationView,
  OperatorDecision,
} from '../operators/operator-records.js';
import { NotKeepableError } from '../replies/not-keepable.js';
import { PAGE, PAGE_POLICY } from './page.js';

/** What `IdempotencyAdminModule.register()` takes. */
export interface AdminOptions extends Pick<ModuleMetadata, 'imports' | 'providers'> {
  /**
   * Who may see and settle operations: guards, at least one, as classes or instances. They run after the
   * application's global guards.
   */
  guards: readonly (Type<CanActivate> | CanActivate)[];
  /**
   * Where the page and its routes are.
   * @default 'idempotency/admin'
   */
  path?: string;
  /**
   * The name of the person who decides. It stays with the record.
   * @default `request.user.id`, else `.sub`, else `.userId`; else the page asks for it
   */
  operator?: (request: IncomingRequest) => string | undefined;
}

/** Injection token of the module's options. */
export const ADMIN_OPTIONS = Symbol.for('nestjs-idempotency:admin-options');

/** Every change needs it. A page of another origin cannot send it without permission (CORS). */
export const ADMIN_HEADER = 'X-Idempotency-Admin';

type Fields = Readonly<Partial<Record<string, unknown>>>;

/** The page for operators, and its routes. Guards come from the module. */
export class AdminController {
  private readonly principal = resolvePrincipal(undefined);

  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(ADMIN_OPTIONS) private readonly options: Pick<AdminOptions, 'operator'>,
  ) {}

  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', PAGE_POLICY)
  @Header('X-Content-Type-Options', 'nosniff')
  @Header('Referrer-Policy', 'no-referrer')
  @Header('Cache-Control', 'no-store')
  page(): string {
    return PAGE;
  }

  @Get('operator')
  @Header('Cache-Control', 'no-store')
  async operator(
    @Req() request: IncomingRequest,
  ): Promise<{ by: string | null; sources?: readonly string[] }> {
    const { sources } = this.service;
    const by = (await this.nameOf(request)) ?? null;
    return { by, ...(sources.length > 0 && { sources }) };
  }

  /** The operations in one state; the query has the names of {@link ListQuery}. */
  @Get('records')
  @Header('Cache-Control', 'no-store')
  list(@Query() query: Fields): Promise<OperationList> {
    const { limit, ...texts } = query;
    const text = (name: string): string | undefined => textOf(texts, name);
    return asked(() =>
      this.service.list({
        state: (text('state') ?? 'held') as ListedState,
        scope: text('scope'),
        label: text('label'),
        olderThan: text('olderThan') as Duration | undefined,
        cursor: text('cursor'),
        source: text('source'),
        limit: limit === undefined ? undefined : Number(limit),
      }),
    );
  }

  @Get('records/:id')
  @Header('Cache-Control', 'no-store')
  async show(@Param('id') id: string, @Query() query: Fields): Promise<OperationView> {
    const source = textOf(query, 'source');
    const found = await asked(() => this.service.find({ id, source }));
    if (found === undefined) throw new NotFoundException('There is no such record.');
    return found;
  }

  /**
   * Settles an operation: `{ decision, reason, by }`, with `decision` `release`, `hold` or `reply`; a reply
   * has a `value` and perhaps a `status`.
   */
  @Post('records/:id/settle')
  @HttpCode(200)
  async settle(
    @Req() request: IncomingRequest,
    @Headers() headers: Fields,
    @Param('id') id: string,
    @Body() body: Fields | undefined,
  ): Promise<OperationView | { readonly id: string }> {
    checkOrigin(headers);
    const given = body ?? {};
    const by = await this.settledBy(request, given);
    const ref = { id, source: textOf(given, 'source') };
    const isSettled = await asked(async () => this.service.settle(ref, decisionIn(given), by));
    if (!isSettled)
      throw new ConflictException('The operation is neither held nor abandoned any more.');
    return (await this.service.find(ref)) ?? { id };
  }

  /** Deletes a record: `{ reason, by }`. */
  @Post('records/:id/forget')
  @HttpCode(200)
  async forget(
    @Req() request: IncomingRequest,
    @Headers() headers: Fields,
    @Param('id') id: string,
    @Body() body: Fields | undefined,
  ): Promise<{ readonly id: string }> {
    checkOrigin(headers);
    const given = body ?? {};
    const by = await this.settledBy(request, given);
    const ref = { id, source: textOf(given, 'source') };
    const isForgotten = await asked(() => this.service.forget(ref, by));
    if (!isForgotten) throw new ConflictException('There is no such record, or it is running.');
    return { id };
  }

  private get service(): IdempotencyService {
    return this.moduleRef.get(IdempotencyService, { strict: false });
  }

  /** A name that a guard has found out is better than one that is typed. */
  private async settledBy(request: IncomingRequest, given: Fields): Promise<SettledBy> {
    const by = (await this.nameOf(request)) ?? textOf(given, 'by') ?? '';
    return { by, reason: textOf(given, 'reason') ?? '' };
  }

  private async nameOf(request: IncomingRequest): Promise<string | undefined> {
    const { operator } = this.options;
    if (operator !== undefined) return operator(request);
    return this.principal({ type: 'http', request, scope: '', principal: undefined });
  }
}

function checkOrigin(headers: Fields): void {
  if (headers[ADMIN_HEADER.toLowerCase()] !== undefined) return;
  throw new ForbiddenException(
    `Send the header ${ADMIN_HEADER}, so that no other page can do this.`,
  );
}

/** What is wrong with a request is the client's error. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const isGiven =
      isIdempotencyConfigurationError(error) ||
      isInvalidKeyError(error) ||
      error instanceof NotKeepableError;
    throw isGiven ? new BadRequestException((error as Error).message) : error;
  }
}

function decisionIn(given: Fields): OperatorDecision {
  const { decision, value, status } = given;
  if (decision === 'release' || decision === 'hold') return decision;
  if (decision === 'reply')
    return recoveredReply(value, status === undefined ? {} : { status: Number(status) });
  throw new BadRequestException('decision must be release, hold or reply.');
}

/** Express makes lists and objects of some parameters. */
function textOf(given: Fields, name: string): string | undefined {
  const value = given[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
