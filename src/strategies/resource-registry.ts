import { Inject, Injectable } from '@nestjs/common';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import {
  hasResources,
  isResource,
  type Resource,
  type ResourceRequest,
  type Resources,
} from '../engine/resource.js';
import { IDEMPOTENCY_STORE } from '../idempotency.constants.js';
import { MODULE_OPTIONS_TOKEN } from '../idempotency.module-definition.js';
import type { IdempotencyModuleOptions } from '../idempotency.options.js';

/** Finds the rows that strategies compare and set. */
@Injectable()
export class ResourceRegistry {
  private readonly resources: Resources | undefined;

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) { resources }: IdempotencyModuleOptions,
    @Inject(IDEMPOTENCY_STORE) store: unknown,
  ) {
    this.resources = resources ?? (hasResources(store) ? store : undefined);
  }

  /** @throws {@link IdempotencyConfigurationError} when nobody knows the entity */
  get(request: ResourceRequest): Resource {
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
