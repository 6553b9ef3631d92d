import { isDeepStrictEqual } from 'node:util';
import {
  type Content,
  isSameHeader,
  type MediaType,
  type OpenAPIObject,
  type Operation,
  resolved,
  type Response,
  type Schema,
} from './open-api.js';

type Headers = NonNullable<Response['headers']>;

/** Adds what is not there yet to the answer with a status. */
export function addResponse(
  document: OpenAPIObject,
  operation: Operation,
  status: number | string,
  added: Response,
): void {
  const declared = resolved<Response>(document, operation.responses[status]);
  const headers = { ...newHeaders(declared?.headers, added.headers), ...declared?.headers };
  const content = { ...declared?.content, ...withContent(declared?.content, added.content) };
  operation.responses[status] = {
    ...declared,
    description: declared?.description || added.description,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

function newHeaders(declared: Headers = {}, added: Headers = {}): Headers {
  const isNew = ([name]: [string, unknown]): boolean =>
    !Object.keys(declared).some((known) => isSameHeader(known, name));
  return Object.fromEntries(Object.entries(added).filter(isNew));
}

/** Where both have something to say of a type, a body may be one or the other. */
function withContent(declared: Content = {}, added: Content = {}): Content {
  const types = Object.entries(added).map(([type, media]) => {
    const known = declared[type];
    return [type, known === undefined ? media : eitherOf(known, media)] as const;
  });
  return Object.fromEntries(types);
}

function eitherOf(declared: MediaType, added: MediaType): MediaType {
  const examples = { ...added.examples, ...declared.examples };
  return {
    ...declared,
    schema: eitherSchema(declared.schema, added.schema),
    // A media type has either one example or several.
    ...(declared.example === undefined && Object.keys(examples).length > 0 && { examples }),
  };
}

function eitherSchema(declared: Schema | undefined, added: Schema | undefined): Schema | undefined {
  if (declared === undefined || added === undefined) return declared ?? added;
  return isDeepStrictEqual(declared, added) ? declared : { anyOf: [declared, added] };
}
