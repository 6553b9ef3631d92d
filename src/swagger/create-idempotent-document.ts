import type { INestApplication } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { ApiExtension, SwaggerModule } from '@nestjs/swagger';
import { wrongOption } from '../engine/configuration-error.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';
import type { IdempotencyModuleOptions } from '../options/idempotency.options.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import { isSafeMethod } from '../transports/http/routes.js';
import { TokenController } from '../transports/http/token.controller.js';
import type { OpenAPIObject, Operation } from './open-api.js';
import { describeOperation, describeTokenRoute } from './operations.js';
import { declareProblem } from './responses.js';

/**
 * Like `SwaggerModule.createDocument()`, with what `@Idempotent()` means to clients: where to send
 * the key, how long a reply is kept, how to recognise a replay, and every refusal. What the
 * application itself declares about an answer, a parameter or a header is not changed.
 *
 * @throws {@link IdempotencyConfigurationError} for an application without the
 *   `IdempotencyModule`, and for a declaration that would stop it at boot
 *
 * @example
 * ```ts
 * const config = new DocumentBuilder().setTitle('Shop').build();
 * SwaggerModule.setup('docs', app, () => createIdempotentDocument(app, config));
 * ```
 */
export function createIdempotentDocument(
  app: INestApplication,
  config: Parameters<typeof SwaggerModule.createDocument>[1],
  options?: Parameters<typeof SwaggerModule.createDocument>[2],
): OpenAPIObject {
  const [registry, moduleOptions] = providersOf(app);
  const handlers = registry.httpHandlers();
  const issue = Reflect.get(TokenController.prototype, 'issue') as object;
  const methods = [issue, ...(handlers.keys() as Iterable<object>)];
  const document = whileMarked(methods, () => SwaggerModule.createDocument(app, config, options));
  const problems = declareProblem(document, moduleOptions);
  for (const { operation, httpMethod, path, index } of takeMarked(document)) {
    const method = methods[index];
    if (method === issue) describeTokenRoute(problems, operation, moduleOptions.tokens);
    else if (!isSafeMethod(httpMethod.toUpperCase()))
      describeOperation(problems, operation, path, handlerAt(path, handlers.get(method)!));
  }
  return document;
}

/** Nest ends the process if it is asked for a provider that does not exist. */
function providersOf(app: INestApplication): [HandlerRegistry, IdempotencyModuleOptions] {
  const modules = app.get(ModulesContainer, { strict: false });
  const isThere = [...modules.values()].some(({ providers }) => providers.has(HandlerRegistry));
  if (!isThere) {
    throw wrongOption(
      'app of createIdempotentDocument()',
      'an application without the IdempotencyModule',
      'an application whose handlers can be protected',
      'Import IdempotencyModule.forRoot(), or use SwaggerModule.createDocument().',
    );
  }
  return [
    app.get(HandlerRegistry, { strict: false }),
    app.get<IdempotencyModuleOptions>(MODULE_OPTIONS_TOKEN, { strict: false }),
  ];
}

/** Which of the classes that inherit the same method handles a path of the document. */
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

const MARK = 'x-nestjs-idempotency-method';

type Marked = Operation & { [MARK]?: number };

/** An operation in the document, and the number of the method that handles it. */
interface MarkedOperation {
  /** In lower case. */
  readonly httpMethod: string;
  readonly path: string;
  readonly operation: Operation;
  readonly index: number;
}

/**
 * Marks every operation in the document with the number of its method. Only swagger knows which
 * operations a method has (prefixes, versions, several routes). Nothing stays on the methods,
 * because the next document may belong to another application.
 */
function whileMarked(methods: readonly object[], create: () => OpenAPIObject): OpenAPIObject {
  const before = methods.map(metadataOf);
  try {
    for (const [index, value] of methods.entries()) ApiExtension(MARK, index)({}, '', { value });
    return create();
  } finally {
    for (const [index, method] of methods.entries()) restore(method, before[index]!);
  }
}

/** Returns the marked operations and removes their marks. */
function takeMarked({ paths, webhooks = {} }: MarkedDocument): MarkedOperation[] {
  // Webhooks are sent by the application, so nobody sends them a key.
  for (const { operation } of operationsOf(webhooks)) delete operation[MARK];
  const marked: MarkedOperation[] = [];
  for (const { operation, ...place } of operationsOf(paths)) {
    const index = operation[MARK];
    delete operation[MARK];
    if (index !== undefined) marked.push({ ...place, operation, index });
  }
  return marked;
}

type PathItems = OpenAPIObject['paths'];
interface MarkedDocument {
  readonly paths: PathItems;
  /** OpenAPI 3.1 only. */
  readonly webhooks?: PathItems;
}

function* operationsOf(items: PathItems) {
  for (const [path, item] of Object.entries(items))
    for (const [httpMethod, operation] of Object.entries(item) as [string, Marked][])
      if (typeof operation === 'object') yield { path, httpMethod, operation };
}

function metadataOf(method: object): ReadonlyMap<unknown, unknown> {
  const keys = Reflect.getOwnMetadataKeys(method) as unknown[];
  return new Map(keys.map((key) => [key, Reflect.getOwnMetadata(key, method) as unknown]));
}

function restore(method: object, before: ReadonlyMap<unknown, unknown>): void {
  for (const key of metadataOf(method).keys())
    if (before.has(key)) Reflect.defineMetadata(key, before.get(key), method);
    else Reflect.deleteMetadata(key as string, method);
}
