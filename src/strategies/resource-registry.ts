import { Inject, Injectable } from '@nestjs/common';
import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import {
  beginWork,
  hasResources,
  isResource,
  type Resource,
  type ResourceRequest,
  type Resources,
  type WorkTransactions,
} from '../engine/resource.js';
import type { IdempotentCall } from '../keys/call.js';
import { InvalidKeyError, type KeyFunction, type KeySource } from '../keys/key-source.js';
import { type ResolvedKey, resolveKey } from '../keys/key-sources.js';
import { IDEMPOTENCY_STORE, MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  type IdempotentOptions,
  MODULE_DEFAULTS,
} from '../options/idempotency.options.js';
import type { RowId } from '../options/strategy-options.js';
import type { StrategyPlan } from './strategy.js';

/** How a handler names a row and one of its columns. */
interface RowOptions {
  readonly entity?: unknown;
  readonly id?: RowId;
  readonly column?: string;
}

/** Finds the rows that strategies compare and set. */
@Injectable()
export class ResourceRegistry {
  private readonly resources: Resources | undefined;
  private readonly headerName: string;

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) { resources, header }: IdempotencyModuleOptions,
    @Inject(IDEMPOTENCY_STORE) store: unknown,
  ) {
    this.resources = resources ?? (hasResources(store) ? store : undefined);
    this.headerName = header ?? MODULE_DEFAULTS.header;
  }

  /**
   * The row that a handler's calls are about.
   *
   * @throws {@link IdempotencyConfigurationError} if nothing knows the entity, or if `id` is
   *   missing
   */
  row(kind: ResourceRequest['kind'], options: RowOptions & IdempotentOptions): Row {
    const { entity, column, transaction, secondConnection = DEFAULTS.secondConnection } = options;
    const sources = sourcesOf(options.id);
    const source = typeof transaction === 'string' ? transaction : undefined;
    const idParts = sources.length;
    const request = { entity, column, kind, idParts, source, secondConnection };
    const resource = this.resource(request);
    return new Row(resource, sources, this.headerName);
  }

  private resource(request: ResourceRequest): Resource {
    const { entity } = request;
    if (isResource(entity)) return entity;
    if (entity === undefined || entity === null) throw noEntity(entity);
    if (this.resources !== undefined) return this.resources.resource(request);
    throw wrongOption(
      'entity',
      entity,
      'a Resource, because this store knows no entities',
      'Use the TypeOrmStore or SqlStore, give the module `resources: new TypeOrmResources({ dataSource })` or `new SqlResources({ executor })`, or implement Resource for your own rows.',
    );
  }
}

function noEntity(given: unknown): IdempotencyConfigurationError {
  return wrongOption(
    'entity',
    given,
    'an entity, or a Resource',
    "Name the row that is changed, such as { entity: Goods, id: param('id') }.",
  );
}

/** The row that a call is about, and the column that a strategy guards. */
export class Row {
  private readonly parts: readonly ResolvedKey[];
  /** Where the work's transaction comes from, unless the store provides it. */
  readonly transactions: WorkTransactions | undefined;

  constructor(
    readonly resource: Resource,
    /** The parts of its key, for the key of the operation. */
    readonly sources: readonly (KeySource | KeyFunction)[],
    headerName: string,
  ) {
    this.parts = sources.map((source) => resolveKey(source, { headerName }));
    const transaction = resource.transaction?.bind(resource);
    this.transactions = transaction && {
      begin: () => beginWork(transaction),
      failureOf: (error) => resource.failureOf?.(error) ?? 'unknown',
    };
  }

  /** The kind of transaction that the strategy needs. */
  get transaction(): StrategyPlan['transaction'] {
    return this.transactions === undefined ? 'required' : 'own';
  }

  /** @throws {@link InvalidKeyError} when a part of the row's key is missing or malformed */
  async id(call: IdempotentCall): Promise<string[]> {
    const id: string[] = [];
    for (const part of this.parts) {
      const value = await part.read(call);
      if (value === undefined)
        throw new InvalidKeyError(`The row cannot be found without ${part.description}.`);
      id.push(value);
    }
    return id;
  }
}

/** @throws {@link IdempotencyConfigurationError} if `id` is empty */
function sourcesOf(id: RowId | undefined): readonly (KeySource | KeyFunction)[] {
  if (id === undefined) {
    throw wrongOption(
      'id',
      undefined,
      'a source for the key of the row',
      "Name it, such as { id: param('id') }.",
    );
  }
  return Array.isArray(id) ? (id as readonly (KeySource | KeyFunction)[]) : [id as KeySource];
}
