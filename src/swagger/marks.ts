import { ApiExtension } from '@nestjs/swagger';
import type { OpenAPIObject, Operation } from './open-api.js';

const MARK = 'x-nestjs-idempotency-method';

type Marked = Operation & { [MARK]?: number };

/** An operation of the document, and the number of the method that handles it. */
export interface MarkedOperation {
  /** In lower case. */
  readonly httpMethod: string;
  readonly path: string;
  readonly operation: Operation;
  readonly index: number;
}

/**
 * Has every operation of the document bear the number of its method. Which operations a method has
 * (prefixes, versions, several routes) is known to swagger alone. Nothing is left on the methods:
 * the next document may be that of another application.
 */
export function whileMarked(
  methods: readonly object[],
  create: () => OpenAPIObject,
): OpenAPIObject {
  const before = methods.map(metadataOf);
  try {
    for (const [index, value] of methods.entries()) ApiExtension(MARK, index)({}, '', { value });
    return create();
  } finally {
    for (const [index, method] of methods.entries()) restore(method, before[index]!);
  }
}

/** The operations that are marked, without their marks from then on. */
export function takeMarked({ paths, webhooks = {} }: MarkedDocument): MarkedOperation[] {
  // Nobody sends a key to where the application itself sends something.
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
  /** Of OpenAPI 3.1. */
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
