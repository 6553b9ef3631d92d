import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import { canonicalJson } from '../keys/canonical-json.js';
import type { Entrance } from './entrance.js';

/** What `@MessagePattern()`, `@EventPattern()` and `@GrpcMethod()` leave on a method. */
const PATTERNS = 'microservices:pattern';
const HANDLER_TYPE = 'microservices:handler_type';
const TRANSPORT = 'microservices:transport';
const EVENT = 2;

/** A pattern of gRPC. */
interface GrpcPattern {
  readonly service: string;
  readonly rpc: string;
  readonly streaming: string;
}

const SINGLE_REQUEST = 'no_stream';

/** True for what `@EventPattern()` has made of a method. */
export function isEventHandler(method: object): boolean {
  return Reflect.getMetadata(HANDLER_TYPE, method) === EVENT;
}

/**
 * The messages that a method of a controller handles; `undefined` when it handles none.
 *
 * @param name `ClassName.method`
 * @throws {@link IdempotencyConfigurationError} for one that cannot be protected
 */
export function messageEntrance(name: string, method: object): Entrance | undefined {
  const given = Reflect.getMetadata(PATTERNS, method) as readonly unknown[] | undefined;
  if (given === undefined) return undefined;
  if (given.some((pattern) => isGrpc(pattern) && pattern.streaming !== SINGLE_REQUEST))
    throw streamOfRequests(name);
  const patterns = given.map(patternText);
  return {
    kind: 'rpc',
    scopes: `${patterns.join(' | ')} ${name}`,
    message: {
      patterns,
      isEvent: isEventHandler(method),
      transport: Reflect.getMetadata(TRANSPORT, method),
    },
  };
}

/** A pattern as text: the same for objects with the same members. */
export function patternText(pattern: unknown): string {
  if (typeof pattern === 'string') return pattern;
  return isGrpc(pattern) ? `${pattern.service}/${pattern.rpc}` : canonicalJson(pattern);
}

function isGrpc(pattern: unknown): pattern is GrpcPattern {
  return typeof pattern === 'object' && pattern !== null && 'rpc' in pattern;
}

function streamOfRequests(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: `${name}, a handler of a stream of requests`,
    accepted: 'handlers of single messages',
    remedy:
      'Remove @Idempotent(), and protect what is done for each request with IdempotencyService.run().',
  });
}
