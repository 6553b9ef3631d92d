import { RequestMethod } from '@nestjs/common';
import { isMutation } from './field-entrance.js';
import { isEventHandler } from './message-entrance.js';

/** Nest's own metadata on route handlers. */
const PATH_METADATA = 'path';
const METHOD_METADATA = 'method';

const SAFE_METHODS: ReadonlySet<unknown> = new Set([
  RequestMethod.GET,
  RequestMethod.HEAD,
  RequestMethod.OPTIONS,
]);

/** True for what a decorator on the class covers. */
export function isStateChanging(method: unknown): boolean {
  return (
    typeof method === 'function' &&
    (isStateChangingRoute(method) || isEventHandler(method) || isMutation(method))
  );
}

function isStateChangingRoute(method: object): boolean {
  return (
    Reflect.hasMetadata(PATH_METADATA, method) &&
    !SAFE_METHODS.has(Reflect.getMetadata(METHOD_METADATA, method))
  );
}
