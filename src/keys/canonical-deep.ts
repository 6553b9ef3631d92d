import { NotComparableError, primitiveText, quote, sortedNames } from './canonical-text.js';
import { isPlain, reduceObject, type Write } from './canonical-values.js';

/** An object or list of which some members are written. */
interface Frame {
  /** As it was found, before `toJSON`: what a circle comes back to. */
  readonly found: object;
  readonly members: Readonly<Record<number | string, unknown>>;
  /** `undefined` in a list. */
  readonly names: readonly string[] | undefined;
  readonly size: number;
  next: number;
  isEmpty: boolean;
}

/**
 * Canonical text of an object without recursion, for content that is nested too deeply for it.
 * A structure without end is always nested too deeply, so that circles are found here.
 *
 * @throws {@link NotComparableError} for circular structures
 */
export function writeDeep(root: object, collections: number, write: Write): string {
  const chunks: string[] = [];
  const frames: Frame[] = [];
  const open = new Set<object>();

  /** Adds what goes before a value and the value, or the beginning of it. */
  function add(prefix: string, value: unknown, isInList: boolean): boolean {
    const reduced =
      typeof value !== 'object' || value === null
        ? primitiveText(value)
        : isPlain(value)
          ? value
          : reduceObject(value, collections, write);
    if (typeof reduced !== 'object') {
      if (reduced === undefined && !isInList) return false;
      chunks.push(prefix, reduced ?? 'null');
      return true;
    }
    const found = value as object;
    if (open.has(found)) throw new NotComparableError('The structure is circular.');
    open.add(found);
    const names = Array.isArray(reduced) ? undefined : sortedNames(reduced);
    const size = names === undefined ? (reduced as readonly unknown[]).length : names.length;
    const members = reduced as Frame['members'];
    frames.push({ found, members, names, size, next: 0, isEmpty: true });
    chunks.push(prefix, names === undefined ? '[' : '{');
    return true;
  }

  add('', root, true);
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const { names } = frame;
    if (frame.next === frame.size) {
      chunks.push(names === undefined ? ']' : '}');
      open.delete(frame.found);
      frames.pop();
      continue;
    }
    const comma = frame.isEmpty ? '' : ',';
    const name = names?.[frame.next] ?? frame.next;
    frame.next++;
    const prefix = typeof name === 'string' ? `${comma}${quote(name)}:` : comma;
    if (add(prefix, frame.members[name], names === undefined)) frame.isEmpty = false;
  }
  return chunks.join('');
}
