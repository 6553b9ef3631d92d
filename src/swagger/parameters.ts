import type { ProtectedLayer } from '../handlers/protected-handler.js';
import { MAX_KEY_LENGTH } from '../keys/key-part.js';
import {
  isSameHeader,
  type OpenAPIObject,
  type Operation,
  type Parameter,
  resolved,
} from './open-api.js';

/** Bodies in which a browser sends a form by itself. */
const FORM_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data'];

const SCHEMA = { type: 'string', minLength: 1, maxLength: MAX_KEY_LENGTH };
const PART_OF_KEY = 'Part of what names the operation: the same for every retry of it.';

/** Adds the headers and query parameters that the keys of the layers come from. */
export function addParameters(
  document: OpenAPIObject,
  operation: Operation,
  layers: readonly ProtectedLayer[],
): void {
  const parameters = [...(operation.parameters ?? [])];
  for (const added of layers.flatMap((layer) => parametersOf(document, operation, layer))) {
    const index = parameters.findIndex((one) => isSame(resolved<Parameter>(document, one), added));
    if (index === -1) parameters.push(added);
    else parameters[index] = merged(resolved<Parameter>(document, parameters[index])!, added);
  }
  operation.parameters = parameters;
}

function parametersOf(
  document: OpenAPIObject,
  operation: Operation,
  { key, required }: ProtectedLayer,
): Parameter[] {
  return key.sources.flatMap(({ sentIn = [] }) => {
    const isOnlyWay =
      !sentIn.some((place) => place.in === 'body') || !takesForms(document, operation);
    return sentIn.flatMap((place): Parameter[] =>
      place.in === 'header' || place.in === 'query'
        ? [
            {
              name: place.name,
              in: place.in,
              required: required && isOnlyWay,
              description: place.description ?? PART_OF_KEY,
              schema: SCHEMA,
            },
          ]
        : [],
    );
  });
}

/** True where the body may be one whose fields a page fills in. */
function takesForms(document: OpenAPIObject, { requestBody }: Operation): boolean {
  const { content = {} } =
    resolved<{ content?: object }>(document, requestBody as { content?: object }) ?? {};
  return FORM_TYPES.some((type) => type in content);
}

function isSame(declared: Parameter | undefined, added: Parameter): boolean {
  if (declared?.in !== added.in) return false;
  return added.in === 'header'
    ? isSameHeader(declared.name, added.name)
    : declared.name === added.name;
}

function merged(declared: Parameter, { schema, ...added }: Parameter): Parameter {
  const isDescribed = declared.schema !== undefined || declared.content !== undefined;
  return { ...added, ...(isDescribed ? {} : { schema }), ...declared };
}
