import type { DataSource, EntityManager } from 'typeorm';
import type { Resource, ResourceRequest, Resources } from '../../engine/resource.js';
import { Connections } from './connections.js';
import { runWithManager } from './current-manager.js';
import { EntityResource } from './entity-resource.js';
import { runWithHosts, transactionHostsOf } from './transaction-hosts.js';

/** What {@link TypeOrmResources} is made of. */
export interface TypeOrmResourcesOptions {
  /** The data source of the entities, initialized, or a function that gives it. */
  readonly dataSource: DataSource | (() => DataSource | Promise<DataSource>);
}

/**
 * Entities for the strategies `version` and `state` when records are kept elsewhere, such as in
 * Redis. The work has a transaction of its own, which commits before the reply is recorded: a
 * process that dies between the two has done the work, and a retry finds it done (412 or 409).
 *
 * @example
 * IdempotencyModule.forRoot({ store: new RedisStore({ client }), resources: new TypeOrmResources({ dataSource }) })
 */
export class TypeOrmResources implements Resources {
  constructor(private readonly options: TypeOrmResourcesOptions) {}

  resource(request: ResourceRequest): Resource {
    return new EntityResource(
      () => this.dataSource(),
      request,
      (work) => this.transaction(work),
    );
  }

  private async transaction<T>(work: (manager?: EntityManager) => Promise<T>): Promise<T> {
    const dataSource = await this.dataSource();
    const hosts = await transactionHostsOf(dataSource);
    const letGo = await Connections.of(dataSource).take();
    try {
      return await dataSource.transaction((manager) =>
        runWithManager({ dataSource, manager }, () =>
          runWithHosts(hosts, manager, () => work(manager)),
        ),
      );
    } finally {
      letGo();
    }
  }

  private async dataSource(): Promise<DataSource> {
    const { dataSource } = this.options;
    return typeof dataSource === 'function' ? dataSource() : dataSource;
  }
}
