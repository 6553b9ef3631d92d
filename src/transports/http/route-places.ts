import { type VersioningOptions, VersioningType } from '@nestjs/common';
import type { ScopeOfRequest } from '../../handlers/endpoint.js';
import type { IncomingRequest } from '../../keys/call.js';

/** A route of a handler. */
export interface RouteTemplate {
  readonly method: string;
  /**
   * The paths with global prefix, module path and URI version, in each form that HTTP frameworks
   * use.
   */
  readonly paths: readonly string[];
  /** The host of the route, as it was declared; `undefined` for all hosts. */
  readonly host: string | undefined;
  /** The version of the route, if it is not in the path; `undefined` for all versions. */
  readonly version: string | undefined;
  /** `METHOD /path`, and version and host if they distinguish routes. */
  readonly scope: string;
}

/** The name for a route for every version. */
export const NEUTRAL = 'neutral';

interface RoutedRequest extends IncomingRequest {
  /** Express. */
  readonly route?: { readonly path?: unknown };
  /** Fastify. */
  readonly routeOptions?: { readonly url?: string };
  /** Both, as Nest reads it to choose the route. */
  readonly hostname?: string;
}

/**
 * The scope of a request among the routes of one handler: every mount, version and host pattern has
 * its own. `undefined` if there is only one.
 */
export function scopeOfRequest(
  templates: readonly RouteTemplate[],
  versioning: VersioningOptions | undefined,
): ScopeOfRequest | undefined {
  const [first] = templates;
  if (first === undefined || templates.every(({ scope }) => scope === first.scope))
    return undefined;
  const byPath = new Map<string, RouteTemplate[]>();
  for (const template of templates)
    for (const path of template.paths) byPath.set(path, [...(byPath.get(path) ?? []), template]);
  const hasHosts = templates.some(({ host }) => host !== first.host);
  const hasVersions = templates.some(({ version }) => version !== first.version);
  return (request: RoutedRequest) => {
    const path = request.routeOptions?.url ?? request.route?.path;
    let found = (typeof path === 'string' ? byPath.get(path) : undefined) ?? templates;
    if (hasVersions) found = ofVersions(found, versionsOf(request, versioning));
    if (hasHosts) found = ofHost(found, request.hostname ?? '');
    return found[0]!.scope;
  };
}

/** The newest requested version, or else the route for every version. */
function ofVersions(
  templates: readonly RouteTemplate[],
  asked: readonly string[],
): readonly RouteTemplate[] {
  for (const version of [...asked, NEUTRAL]) {
    const found = templates.filter((template) => template.version === version);
    if (found.length > 0) return found;
  }
  return templates;
}

/**
 * A host without parameters matches itself. Any other host belongs to the first pattern with
 * parameters.
 */
function ofHost(templates: readonly RouteTemplate[], hostname: string): readonly RouteTemplate[] {
  const exact = templates.filter(({ host }) => host === hostname);
  if (exact.length > 0) return exact;
  const patterns = templates.filter(({ host }) => host === undefined || !HOSTNAME.test(host));
  return patterns.length > 0 ? patterns : templates;
}

const HOSTNAME = /^[a-z0-9.-]+$/i;

/** The requested versions, as Nest's adapters read them, the preferred one first. */
function versionsOf(
  request: IncomingRequest,
  versioning: VersioningOptions | undefined,
): readonly string[] {
  switch (versioning?.type) {
    case VersioningType.HEADER: {
      const given = request.headers[versioning.header.toLowerCase()];
      return typeof given === 'string' ? [given.trim()] : [];
    }
    case VersioningType.MEDIA_TYPE: {
      const parameter = request.headers['accept']?.toString().split(';')[1];
      const given = parameter?.split(versioning.key)[1];
      return given === undefined ? [] : [given.trim()];
    }
    case VersioningType.CUSTOM: {
      const given = versioning.extractor(request);
      return Array.isArray(given) ? given : [given];
    }
    case VersioningType.URI:
    case undefined:
      return [];
  }
}
