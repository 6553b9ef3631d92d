import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { objectsIn } from './objects-in.js';

/** Node reads records outside of the context in which Jest runs code, with classes of its own. */
const areForeign = !(deserialize(serialize(new Date(0))) instanceof Date);

/** Scalars of GraphQL know a date by its class, in the context in which they run. */
export function withOwnDates(value: unknown): unknown {
  if (areForeign)
    for (const object of objectsIn(value))
      if (types.isDate(object)) Object.setPrototypeOf(object, Date.prototype);
  return value;
}
