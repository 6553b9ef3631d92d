import { types } from 'node:util';

/** Every object that a value holds, each once, however deep and however often it is there. */
export function* objectsIn(value: unknown): Generator<object> {
  const seen = new Set<object>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    // Bytes hold no objects, but a great many members.
    if (typeof next !== 'object' || next === null || ArrayBuffer.isView(next)) continue;
    if (seen.has(next)) continue;
    seen.add(next);
    yield next;
    for (const member of membersOf(next)) open.push(member);
  }
}

function* membersOf(object: object): Generator<unknown> {
  if (types.isMap(object)) for (const entry of object) yield* entry;
  else if (types.isSet(object)) yield* object;
  else yield* Object.values(object);
}
