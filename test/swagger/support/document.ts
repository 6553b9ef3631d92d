import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject } from '@nestjs/swagger';
import { Validator } from '@seriousme/openapi-schema-validator';
import { createIdempotentDocument, type IdempotencyExtension } from 'nestjs-idempotency/swagger';

/** Versions of OpenAPI that `@nestjs/swagger` writes. */
export const VERSIONS = ['3.0.0', '3.1.0'] as const;

export function documentOf(
  app: INestApplication,
  version: (typeof VERSIONS)[number] = '3.0.0',
): OpenAPIObject {
  const config = new DocumentBuilder().setTitle('Shop').setOpenAPIVersion(version).build();
  return createIdempotentDocument(app, config);
}

/** What an independent validator has against a document. */
export async function complaintsOf(document: object): Promise<unknown> {
  const sent = JSON.parse(JSON.stringify(document)) as Record<string, unknown>;
  const { errors } = await new Validator().validate(sent);
  return errors ?? [];
}

interface Described {
  readonly description?: string;
  readonly headers?: Record<string, { readonly schema: object }>;
  readonly content?: Record<string, { readonly schema: object; readonly examples?: object }>;
}

interface DescribedParameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: object;
}

/** An operation as a reader of the document sees it. */
export interface DescribedOperation {
  readonly operationId?: string;
  readonly description?: string;
  readonly parameters: readonly DescribedParameter[];
  readonly requestBody?: unknown;
  readonly responses: Record<string, Described>;
  readonly 'x-idempotency'?: IdempotencyExtension;
}

/** The operation of a route, such as `POST /orders/{id}`. */
export function operationOf(document: OpenAPIObject, route: string): DescribedOperation {
  const [method = '', path = ''] = route.split(' ');
  const operations = document.paths[path] as Record<string, unknown> | undefined;
  const operation = operations?.[method.toLowerCase()];
  if (operation === undefined)
    throw new Error(`${route} is not among ${Object.keys(document.paths).join(', ')}.`);
  return operation as DescribedOperation;
}

/** The refusals of an operation: their codes, by status. */
export function refusalsOf({ responses }: DescribedOperation): Record<string, string[]> {
  const found = Object.entries(responses).map(([status, { content }]) => {
    const examples = content?.['application/problem+json']?.examples ?? {};
    return [status, Object.keys(examples).filter((name) => name.startsWith('IDEMPOTENCY_'))];
  });
  return Object.fromEntries(found.filter(([, codes]) => codes!.length > 0)) as Record<
    string,
    string[]
  >;
}

/** The statuses whose answers have a header. */
export function statusesWith({ responses }: DescribedOperation, header: string): string[] {
  return Object.keys(responses).filter((status) => header in (responses[status]!.headers ?? {}));
}
