import { Controller, Injectable, NotFoundException, Post } from '@nestjs/common';
import {
  header,
  Idempotent,
  IdempotencyConfigurationError,
  type IdempotentDeclaration,
} from 'nestjs-idempotency';
import {
  IdempotencyStrategy,
  type IdempotencyStrategyContract,
  type KeySource,
  type StrategyContext,
  type StrategyPlan,
} from 'nestjs-idempotency/contracts';
import {
  boot,
  bootError,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

interface ApprovedOptions {
  /** Where the number of the approval comes from. */
  readonly approval: KeySource;
}

declare module 'nestjs-idempotency' {
  interface IdempotencyStrategies {
    approved: ApprovedOptions;
  }
}

@Injectable()
class Approvals {
  readonly by = new Map<string, string>();
}

/** Runs once per approval, and only when somebody has given it. */
@IdempotencyStrategy('approved')
class ApprovedStrategy implements IdempotencyStrategyContract {
  readonly options = ['approval'] as const;
  readonly withoutOptions = ['key'] as const;

  constructor(private readonly approvals: Approvals) {}

  plan({ options }: StrategyContext): StrategyPlan {
    const { approval } = options as Partial<ApprovedOptions>;
    if (approval === undefined) throw noApproval();
    return {
      key: approval,
      comparesContent: true,
      keepsReply: true,
      begin: async (call) => {
        const approver = this.approvals.by.get((await approval.read(call))!);
        return {
          precondition: {
            check: () =>
              approver === undefined
                ? {
                    code: 'IDEMPOTENCY_STATE_CONFLICT',
                    detail: 'Nobody has approved this.',
                    members: { wanted: 'approved' },
                  }
                : undefined,
          },
          headers: () => ({ 'Approved-By': approver! }),
        };
      },
    };
  }
}

function noApproval(): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: 'approval',
    given: undefined,
    accepted: 'where the number of the approval comes from',
    remedy: "Name it, such as { approval: header('X-Approval') }.",
  });
}

let runs = 0;

@Controller()
class Refunds {
  @Idempotent({ strategy: 'approved', approval: header('X-Approval') })
  @Post('refunds')
  refund(): object {
    return { runs: (runs += 1) };
  }

  @Idempotent({ strategy: 'approved', approval: header('X-Approval') })
  @Post('missing')
  missing(): void {
    throw new NotFoundException();
  }

  @Idempotent({ key: header() })
  @Idempotent({ strategy: 'approved', approval: header('X-Approval') })
  @Post('within')
  within(): object {
    return { runs: (runs += 1) };
  }
}

describe.each(PLATFORMS)('a strategy of the application on %s', (platform) => {
  let app: TestApp;
  const approvals = new Approvals();
  const providers = [ApprovedStrategy, { provide: Approvals, useValue: approvals }];

  beforeAll(async () => {
    app = await boot(platform, { controllers: [Refunds], providers });
  });
  afterAll(() => app?.close());
  beforeEach(() => {
    runs = 0;
    approvals.by.clear();
  });

  const send = (path: string, approval: string, key?: string) =>
    app.send(path, { key, headers: { 'x-approval': approval }, body: { amount: 5 } });

  it('has a key, a precondition and headers of its own', async () => {
    const refused = await send('/refunds', 'seven');
    expectProblem(refused, 409, 'IDEMPOTENCY_STATE_CONFLICT');
    expect(refused.json()).toMatchObject({
      detail: 'Nobody has approved this.',
      wanted: 'approved',
    });
    approvals.by.set('seven', 'bob');
    const first = await send('/refunds', 'seven');

    expect(first.headers['approved-by']).toBe('bob');
    expectReplay(first, await send('/refunds', 'seven'));
    expect(runs).toBe(1);
  });

  it('has its headers on replies of success only', async () => {
    approvals.by.set('eight', 'bob');
    expect((await send('/missing', 'eight')).headers).not.toHaveProperty('approved-by');
  });

  it('stands within another one', async () => {
    expect((await send('/within', 'nine', 'k')).status).toBe(409);
    approvals.by.set('nine', 'bob');
    const first = await send('/within', 'nine', 'k');

    expect(first.headers['approved-by']).toBe('bob');
    expectReplay(first, await send('/within', 'nine', 'k'));
    expectReplay(first, await send('/within', 'nine', 'another'));
  });

  it.each<[option: string, declaration: object]>([
    ['approval', {}],
    ['key', { approval: header('X-Approval'), key: header() }],
    ['entity', { approval: header('X-Approval'), entity: Refunds }],
  ])('stops an application that declares %s wrongly', async (option, declaration) => {
    @Controller()
    class Wrong {
      @Idempotent({ strategy: 'approved', ...declaration } as IdempotentDeclaration)
      @Post('refunds')
      refund(): void {}
    }
    const error = await bootError(platform, { controllers: [Wrong], providers });
    expect(error.message).toContain(`"${option} of Wrong.refund"`);
  });

  it('has types: its own options, and nobody else’s', () => {
    const right: IdempotentDeclaration = { strategy: 'approved', approval: header(), ttl: '1h' };
    // @ts-expect-error -- the option is missing
    const missing: IdempotentDeclaration = { strategy: 'approved' };
    // @ts-expect-error -- the option belongs to another strategy
    const other: IdempotentDeclaration = { strategy: 'lock', approval: header() };
    // @ts-expect-error -- there is no such strategy
    const unknown: IdempotentDeclaration = { strategy: 'aproved', approval: header() };

    expect([right, missing, other, unknown]).toHaveLength(4);
  });
});
