import { Inject, Injectable } from '@nestjs/common';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import {
  hasResources,
  isResource,
  type Resource,
  type ResourceRequest,
  type Resources,
} from '../engine/resource.js';
import { IDEMPOTENCY_STORE } from '../options/constants.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import {
  type IdempotencyModuleOptions,
  type IdempotentOptions,
  MODULE_DEFAULTS,
} from '../options/idempotency.options.js';
import { Row, sourcesOf } from './row.js';
import type { RowId } from '../options/strategy-options.js';

/** How a handler names a row, and a column of it. */
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
   * The row that the calls of a handler are about.
   *
   * @throws {@link IdempotencyConfigurationError} when nobody knows the entity, or nothing names
   *   its rows
   */
  row(kind: ResourceRequest['kind'], options: RowOptions & IdempotentOptions): Row {
    const { entity, column, transaction } = options;
    const sources = sourcesOf(options.id);
    const source = typeof transaction === 'string' ? transaction : undefined;
    const idParts = sources.length;
    const resource = this.resource({ entity, column, kind, idParts, source });
    return new Row(resource, sources, this.headerName);
  }

  private resource(request: ResourceRequest): Resource {
    const { entity } = request;
    if (isResource(entity)) return entity;
    if (entity === undefined || entity === null) throw noEntity(entity);
    if (this.resources !== undefined) return this.resources.resource(request);
    throw new IdempotencyConfigurationError({
      option: 'entity',
      given: entity,
      accepted: 'with this store, which knows no entities, a Resource',
      remedy:
        'Use the TypeOrmStore, give the module `resources: new TypeOrmResources({ dataSource })`, or implement Resource for what you use.',
    });
  }
}

function noEntity(given: unknown): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: 'entity',
    given,
    accepted: 'an entity, or a Resource',
    remedy: "Name what is changed, such as { entity: Goods, id: param('id') }.",
  });
}
