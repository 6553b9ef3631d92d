import {
  type DynamicModule,
  type INestApplication,
  type NestApplicationOptions,
  type Type,
  VersioningType,
} from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { HttpAdapterHost, LazyModuleLoader, NestFactory, RouterModule } from '@nestjs/core';
import { GraphQLModule } from '@nestjs/graphql';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IdempotencyModule, IdempotencyService, type IdempotentOptions } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { HandedServer } from '../messages/support/handed-server.js';
import type { Random } from '../support/random.js';
import type { Business } from './business.js';
import {
  controllersOf,
  type Making,
  resolverOf,
  type Till,
  tillOf,
  TYPE_DEFS,
} from './handlers.js';
import { principalOf, UserGuard } from './identity.js';
import { instrumentation } from './instrumentation.js';
import {
  impatientMiddleware,
  impatientResponse,
  Layers,
  MoodyPipe,
  RawFilter,
  ReshapingFilter,
  SignIn,
} from './layers.js';
import type { HandlerPlan, StormPlan } from './plan.js';

/** An application that was made from a plan, listening on a socket of its own. */
export interface StormApp {
  readonly socketPath: string;
  readonly service: IdempotencyService;
  /** For handlers that are no routes, by their names. */
  readonly tills: ReadonlyMap<string, Till>;
  readonly messages: HandedServer;
  close(): Promise<void>;
}

export interface StormMaterial {
  readonly store: IdempotencyStore;
  readonly business: Business;
  readonly random: Random;
  readonly socketPath: string;
}

class AppModule {}
class HandlersModule {}
class EastModule {}
class WestModule {}
class LateModule {}

/** @throws what the application fails to boot with */
export async function build(plan: StormPlan, material: StormMaterial): Promise<StormApp> {
  const { store, business, random, socketPath } = material;
  const layers = new Layers(random.fork());
  const makings = plan.handlers.map((handler): Making => {
    const options = optionsOf(handler, plan.transaction);
    return { plan: handler, onClass: plan.onClass, options, business, layers };
  });
  const of = (form: HandlerPlan['form']): Making[] =>
    makings.filter((making) => making.plan.form === form);
  const mounted = of('mounted twice').flatMap(controllersOf);
  const controllers = makings
    .filter(({ plan: { form } }) => form !== 'mounted twice')
    .flatMap(controllersOf);
  const tills = new Map(of('provider').map((making) => [making.plan.name, tillOf(making)]));
  const late = new Map(of('late provider').map((making) => [making.plan.name, tillOf(making)]));
  const resolvers = of('mutation').slice(0, 1).map(resolverOf);
  const parts: (DynamicModule | Type)[] = [
    IdempotencyModule.forRoot({ store, ...principalOf(plan.callers) }),
    module(HandlersModule, { controllers, providers: [...tills.values()] }),
    ...instrumentation(makings, controllers, random),
  ];
  if (random.isBelow(0.5)) parts.reverse();
  if (mounted.length > 0)
    parts.push(
      module(EastModule, { controllers: mounted }),
      module(WestModule, { controllers: mounted }),
      RouterModule.register([
        { path: 'east', module: EastModule },
        { path: 'west', module: WestModule },
      ]),
    );
  if (resolvers.length > 0) parts.push(graphql());
  const app = await NestFactory.create(
    module(AppModule, { imports: parts, providers: resolvers }),
    adapterOf(plan, random),
    OPTIONS,
  );
  try {
    const messages = new HandedServer();
    if (of('versions').length > 0)
      app.enableVersioning({ type: VersioningType.HEADER, header: 'x-version' });
    wrap(app, plan, layers, random);
    if (of('message').length > 0) {
      app.connectMicroservice({ strategy: messages }, { inheritAppConfig: true });
      await app.startAllMicroservices();
    }
    await app.listen(socketPath);
    const all = new Map<string, Till>();
    for (const [name, type] of tills) all.set(name, app.get(type, { strict: false }));
    if (late.size > 0) {
      const providers = [...late.values()];
      const loaded = await app
        .get(LazyModuleLoader)
        .load(() => module(LateModule, { providers, exports: providers }));
      for (const [name, type] of late) all.set(name, loaded.get(type, { strict: false }));
    }
    return {
      socketPath,
      service: app.get(IdempotencyService),
      tills: all,
      messages,
      close: () => app.close(),
    };
  } catch (error) {
    await app.close().catch(() => undefined);
    throw error;
  }
}

const OPTIONS: NestApplicationOptions = { logger: false, abortOnError: false };

function module(type: Type, parts: Omit<DynamicModule, 'module'>): DynamicModule {
  return { module: type, ...parts };
}

function optionsOf({ onError, waitMs }: HandlerPlan, transaction: boolean): IdempotentOptions {
  return {
    wait: waitMs,
    transaction,
    ...(onError !== 'default' && { onError: () => onError }),
  };
}

function adapterOf({ platform, impatience }: StormPlan, random: Random): ExpressAdapter {
  if (platform === 'express') return new ExpressAdapter();
  const handlerTimeout = impatience === 'platform' ? random.between(1, 9) : undefined;
  return new FastifyAdapter({
    ...(handlerTimeout !== undefined && { handlerTimeout }),
  }) as unknown as ExpressAdapter;
}

function wrap(app: INestApplication, plan: StormPlan, layers: Layers, random: Random): void {
  const { callers, global, filter, impatience } = plan;
  if (impatience === 'middleware') app.use(impatientMiddleware(random.fork()));
  if (impatience === 'response') app.use(impatientResponse(random.fork()));
  if (callers === 'user') app.useGlobalGuards(new UserGuard());
  if (plan.guard) app.useGlobalGuards(new SignIn(random.fork()));
  if (plan.pipe) app.useGlobalPipes(new MoodyPipe(random.fork()));
  if (global.length > 0) app.useGlobalInterceptors(...layers.interceptors(global));
  if (filter === 'reshapes') app.useGlobalFilters(new ReshapingFilter(app.get(HttpAdapterHost)));
  if (filter === 'answers by itself') app.useGlobalFilters(new RawFilter());
}

function graphql(): DynamicModule {
  return GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    typeDefs: TYPE_DEFS,
    includeStacktraceInErrorResponses: false,
    graphiql: false,
  });
}
