import { RequestMethod, VERSION_NEUTRAL, VersioningType } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
// Nest's own composition of module path, global prefix, version and paths: not part of its
// public interface, the same in Nest 11 and 12, and held by a test.
import { LegacyRouteConverter } from '@nestjs/core/router/legacy-route-converter.js';
import { RoutePathFactory } from '@nestjs/core/router/route-path-factory.js';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type {
  Boot,
  Endpoint,
  EndpointReader,
  HostedMethod,
  Method,
} from '../../handlers/endpoint.js';
import { NEUTRAL, type RouteTemplate, scopeOfRequest } from './route-places.js';

/** Nest's metadata key on `@Sse()` handlers. */
const SSE_METADATA = '__sse__';

/** Safe methods, by IANA's registry of HTTP methods. They ignore a key. */
const SAFE_METHODS: ReadonlySet<string | undefined> = new Set([
  'GET', // RFC 9110, section 9.2.1
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND', // RFC 4918
  'REPORT', // RFC 3253
  'SEARCH', // RFC 5323
  'QUERY', // draft-ietf-httpbis-safe-method-w-body
]);

/** @param method in upper case */
export function isSafeMethod(method: string | undefined): boolean {
  return SAFE_METHODS.has(method);
}

/** Finds the routes of handlers. */
export const routes: EndpointReader = {
  kind: 'http',
  word: 'route',
  hosts: 'controllers',
  read: routeEndpoint,
  answers: (hosted, boot) => templatesOf(hosted, boot).map(({ scope }) => scope),
  changesState: (method) =>
    Reflect.hasMetadata(PATH, method) &&
    !isSafeMethod(RequestMethod[Reflect.getMetadata(METHOD, method) as RequestMethod]),
};

/**
 * The routes of a handler; `undefined` if it has none.
 *
 * @throws {@link IdempotencyConfigurationError} for a route that cannot be protected
 */
function routeEndpoint(hosted: HostedMethod, boot: Boot): Endpoint | 'safe' | undefined {
  const { name, method: handler } = hosted;
  const templates = templatesOf(hosted, boot);
  if (templates.length === 0) return undefined;
  if (Reflect.hasMetadata(SSE_METADATA, handler)) throw serverSentEvents(name);
  if (templates.every(({ method }) => isSafeMethod(method))) {
    boot.warn(
      `@Idempotent() on ${name} has no effect: ${templates[0]!.method} does not change state and ignores keys.`,
    );
    return 'safe';
  }
  return {
    kind: 'http',
    scopes: [...new Set(templates.map(({ scope }) => scope))],
    paths: [...new Set(templates.flatMap((template) => template.paths))],
    scopeOf: scopeOfRequest(templates, boot.config.getVersioning()),
  };
}

/** The routes from all modules that mount the controller. */
function templatesOf(
  { type: controller, method: handler, modules }: HostedMethod,
  { applicationId, config }: Boot,
): RouteTemplate[] {
  return modules.flatMap((module) =>
    routeTemplates({ controller, handler, module, applicationId }, config),
  );
}

function serverSentEvents(name: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    `${name}, an @Sse() handler`,
    'handlers whose reply ends',
    'Remove @Idempotent() from the event stream, and add it to the route that starts the work.',
  );
}

/** Nest's metadata keys. */
const PATH = 'path';
const METHOD = 'method';
const VERSION = '__version__';
const HOST = 'host';
const MODULE_PATH = '__module_path__';

type Version = string | typeof VERSION_NEUTRAL | (string | typeof VERSION_NEUTRAL)[];

interface RouteSource {
  readonly controller: NewableFunction;
  readonly handler: Method;
  /** The module that declares the controller. */
  readonly module: NewableFunction | undefined;
  /** Nest's id of the application, which it puts into some metadata keys. */
  readonly applicationId: string;
}

/** The routes of a handler; none if it is not a route. */
function routeTemplates(source: RouteSource, config: ApplicationConfig): RouteTemplate[] {
  const { controller, handler } = source;
  if (!Reflect.hasMetadata(PATH, handler) || !Reflect.hasMetadata(PATH, controller)) return [];
  const requestMethod = Reflect.getMetadata(METHOD, handler) as RequestMethod;
  const versioning = config.getVersioning();
  const methodVersion = Reflect.getMetadata(VERSION, handler) as Version | undefined;
  const controllerVersion = (Reflect.getMetadata(VERSION, controller) ??
    versioning?.defaultVersion) as Version | undefined;
  const factory = new RoutePathFactory(config);
  const method = RequestMethod[requestMethod];
  const versions = versionsOf(versioning?.type, methodVersion ?? controllerVersion);
  const hosts = hostsOf(controller);
  const templates: RouteTemplate[] = [];
  for (const controllerPath of paths(Reflect.getMetadata(PATH, controller)))
    for (const methodPath of paths(Reflect.getMetadata(PATH, handler)))
      for (const path of factory.create(
        {
          ctrlPath: controllerPath,
          methodPath,
          modulePath: modulePath(source),
          globalPrefix: config.getGlobalPrefix(),
          controllerVersion: versioning && controllerVersion,
          methodVersion: versioning && methodVersion,
          versioningOptions: versioning,
        },
        requestMethod,
      ))
        for (const version of versions)
          for (const host of hosts) {
            const scope = `${method} ${path}${label('version', version)}${label('host', host)}`;
            const known = [...new Set([path, expressPath(path)])];
            templates.push({ method, paths: known, host, version, scope });
          }
  return templates;
}

/** What Nest registers with Express for a path: `/files/{*path}` for `/files/*`. */
function expressPath(path: string): string {
  return LegacyRouteConverter.tryConvert(path, { logs: false });
}

function paths(metadata: unknown): string[] {
  const list = Array.isArray(metadata) ? (metadata as string[]) : [metadata as string];
  return list.map((path) => (path.startsWith('/') ? path : `/${path}`));
}

function modulePath({ module, applicationId }: RouteSource): string | undefined {
  if (module === undefined) return undefined;
  return (Reflect.getMetadata(MODULE_PATH + applicationId, module) ??
    Reflect.getMetadata(MODULE_PATH, module)) as string | undefined;
}

/** Versions outside the URI share one path. */
function versionsOf(
  type: VersioningType | undefined,
  version: Version | undefined,
): (string | undefined)[] {
  if (type === undefined || type === VersioningType.URI || version === undefined)
    return [undefined];
  const versions = Array.isArray(version) ? version : [version];
  return versions.map((one) => (one === VERSION_NEUTRAL ? NEUTRAL : String(one)));
}

function hostsOf(controller: NewableFunction): (string | undefined)[] {
  const host = Reflect.getMetadata(HOST, controller) as
    string | RegExp | readonly (string | RegExp)[] | undefined;
  if (host === undefined) return [undefined];
  return (Array.isArray(host) ? host : [host]).map(String);
}

function label(name: string, value: string | undefined): string {
  return value === undefined ? '' : ` ${name} ${value}`;
}
