import { wrongOption } from '../engine/configuration-error.js';
import type { Precondition, Resource, ResourceValue, Unmet } from '../engine/resource.js';
import type { IdempotentCall } from '../keys/call.js';
import { type ExpectedTags, isIfMatch } from '../keys/if-match.js';
import { InvalidKeyError, type KeySource } from '../keys/key-source.js';
import { signature } from '../keys/signature.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import { ResourceRegistry, type Row } from './resource-registry.js';
import { REFUSED_OPTIONS, type VersionOptions } from '../options/strategy-options.js';
import type {
  IdempotencyStrategyContract,
  StrategyCall,
  StrategyContext,
  StrategyPlan,
} from './strategy.js';

const INTEGER = /^-?\d+$/;

/**
 * The handler only runs if the row has the version that the caller expects. Version, business rows
 * and record are one transaction. The content is part of the key: a retry of the winner gets the
 * winner's reply, but another writer at the same version is stale.
 */
@IdempotencyStrategy('version')
export class VersionStrategy implements IdempotencyStrategyContract {
  readonly options = ['entity', 'id', 'version', 'mode', 'column'] as const;
  readonly withoutOptions = REFUSED_OPTIONS.version;

  constructor(private readonly resources: ResourceRegistry) {}

  plan({ options }: StrategyContext): StrategyPlan {
    const { version, mode = 'match' } = options as Partial<VersionOptions>;
    if (mode !== 'match' && mode !== 'newer')
      throw wrongOption('mode', mode, "'match' or 'newer'", 'Correct the mode, or leave it out.');
    const source = checkedVersion(version, mode);
    const row = this.resources.row('version', options);
    return {
      key: [...row.sources, source, signature()],
      comparesContent: false,
      keepsReply: true,
      refusals: { missing: 'IDEMPOTENCY_VERSION_REQUIRED' },
      transaction: row.transaction,
      published: {
        unmet: [
          { code: 'IDEMPOTENCY_RESOURCE_NOT_FOUND' },
          { code: 'IDEMPOTENCY_VERSION_CONFLICT', status: conflictStatus(source) },
        ],
        headers: { ETag: 'The version that it has now.' },
      },
      check: () => row.resource.check?.(),
      begin: async (call) => this.begin(call, row, source, mode),
    };
  }

  private async begin(
    call: IdempotentCall,
    row: Row,
    source: KeySource,
    mode: 'match' | 'newer',
  ): Promise<StrategyCall> {
    const id = await row.id(call);
    const versions = isIfMatch(source)
      ? new ExpectedVersion(source.expected(call)!, conflictStatus(source))
      : mode === 'match'
        ? new ExpectedVersion([(await source.read(call))!], conflictStatus(source))
        : new NewerVersion(await newVersion((await source.read(call))!, row.resource));
    let next: ResourceValue | undefined;
    const precondition: Precondition = {
      transactions: row.transactions,
      async check() {
        const current = await row.resource.readForUpdate(id);
        if (current === undefined) return { code: 'IDEMPOTENCY_RESOURCE_NOT_FOUND' };
        const unmet = versions.compare(current ?? 0);
        next = versions.next(current ?? 0);
        return unmet;
      },
      async conclude() {
        await row.resource.compareAndSet(id, undefined, next!);
      },
    };
    return {
      precondition,
      headers: () => ({ ETag: `"${next}"` }),
      // A retry looks the same as a new request.
      keepsReply: !versions.isAny,
    };
  }
}

/** 412 is for preconditions in headers (RFC 9110, section 15.5.13). */
function conflictStatus(source: KeySource): number {
  return isIfMatch(source) ? 412 : 409;
}

/** The row has one of these versions, and gets the next one. */
class ExpectedVersion {
  constructor(
    private readonly tags: ExpectedTags,
    private readonly status: number,
  ) {}

  get isAny(): boolean {
    return this.tags === '*';
  }

  compare(current: ResourceValue): Unmet | undefined {
    return this.tags === '*' || this.tags.includes(String(current))
      ? undefined
      : conflict(this.status, current);
  }

  next(current: ResourceValue): ResourceValue {
    return typeof current === 'number' ? current + 1 : String(BigInt(current) + 1n);
  }
}

/** The row has an older version, and gets this one. */
class NewerVersion {
  readonly isAny = false;

  constructor(private readonly wanted: bigint) {}

  compare(current: ResourceValue): Unmet | undefined {
    return BigInt(current) < this.wanted ? undefined : conflict(409, current);
  }

  next(): ResourceValue {
    return String(this.wanted);
  }
}

function conflict(status: number, current: ResourceValue): Unmet {
  return {
    code: 'IDEMPOTENCY_VERSION_CONFLICT',
    status,
    members: { current: typeof current === 'bigint' ? String(current) : current },
  };
}

async function newVersion(version: string, resource: Resource): Promise<bigint> {
  if (!INTEGER.test(version)) throw new InvalidKeyError('The version must be a whole number.');
  if ((await resource.canHold?.(version)) === false)
    throw new InvalidKeyError('The version is out of range.');
  return BigInt(version);
}

function checkedVersion(version: KeySource | undefined, mode: 'match' | 'newer'): KeySource {
  if (version === undefined || typeof version.read !== 'function')
    throw wrongOption(
      'version',
      version,
      'ifMatch(), or a source such as body(...)',
      'Say where the expected version comes from, such as { version: ifMatch() }.',
    );
  if (mode === 'newer' && isIfMatch(version))
    throw wrongOption(
      'version',
      'ifMatch()',
      "a source such as body('version'), because of mode: 'newer'",
      "If-Match names the current version. Use mode: 'match', or let clients send the new version in the body.",
    );
  return version;
}
