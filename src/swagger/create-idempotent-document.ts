import type { INestApplication } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { SwaggerModule } from '@nestjs/swagger';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import type { IdempotencyModuleOptions } from '../options/idempotency.options.js';
import { TokenController } from '../transports/http/token.controller.js';
import { takeMarked, whileMarked } from './marks.js';
import type { OpenAPIObject } from './open-api.js';
import { describeOperation } from './operations.js';
import { declareProblem } from './problems.js';
import { describeTokenRoute } from './token-route.js';

type Create = typeof SwaggerModule.createDocument;

/** Methods that only read: they ignore a key. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['get', 'head', 'options', 'trace']);

/**
 * As `SwaggerModule.createDocument()`, with what `@Idempotent()` means to clients: where the key is
 * sent, how long a reply is kept, how a replay is told, and every refusal. What the application says
 * itself of an answer, a parameter or a header stays as it is.
 *
 * @throws {@link IdempotencyConfigurationError} for an application without the `IdempotencyModule`,
 *   and for a declaration that would not let it boot
 *
 * @example
 * ```ts
 * const config = new DocumentBuilder().setTitle('Shop').build();
 * SwaggerModule.setup('docs', app, () => createIdempotentDocument(app, config));
 * ```
 */
export function createIdempotentDocument(
  app: INestApplication,
  config: Parameters<Create>[1],
  options?: Parameters<Create>[2],
): OpenAPIObject {
  const [registry, moduleOptions] = providersOf(app);
  const handlers = registry.httpHandlers();
  const issue = Reflect.get(TokenController.prototype, 'issue') as object;
  const methods = [issue, ...(handlers.keys() as Iterable<object>)];
  const document = whileMarked(methods, () => SwaggerModule.createDocument(app, config, options));
  const problems = declareProblem(document, moduleOptions.problemBaseUrl);
  for (const { operation, httpMethod, path, index } of takeMarked(document)) {
    const method = methods[index];
    if (method === issue) describeTokenRoute(problems, operation, moduleOptions.tokens);
    else if (!SAFE_METHODS.has(httpMethod))
      describeOperation(problems, operation, path, handlerAt(path, handlers.get(method)!));
  }
  return document;
}

/** Nest ends the process when it is asked for a provider that is not there. */
function providersOf(app: INestApplication): [HandlerRegistry, IdempotencyModuleOptions] {
  const modules = app.get(ModulesContainer, { strict: false });
  const isThere = [...modules.values()].some(({ providers }) => providers.has(HandlerRegistry));
  if (!isThere) {
    throw new IdempotencyConfigurationError({
      option: 'app of createIdempotentDocument()',
      given: 'an application without the IdempotencyModule',
      accepted: 'an application whose handlers can be protected',
      remedy: 'Import IdempotencyModule.forRoot(), or use SwaggerModule.createDocument().',
    });
  }
  return [
    app.get(HandlerRegistry, { strict: false }),
    app.get<IdempotencyModuleOptions>(MODULE_OPTIONS_TOKEN, { strict: false }),
  ];
}

/** Which of the classes that share a method, having inherited it, is at a path of the document. */
function handlerAt(
  path: string,
  byClass: ReadonlyMap<unknown, ProtectedHandler>,
): ProtectedHandler {
  const handlers = [...byClass.values()];
  // A document may leave out the global prefix.
  const isAt = ({ paths }: ProtectedHandler): boolean =>
    paths.some((own) => own.replaceAll(/\{?[:*](\w+)\}?/g, '{$1}').endsWith(path));
  return handlers.find(isAt) ?? handlers[0]!;
}
