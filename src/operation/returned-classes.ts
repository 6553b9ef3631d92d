import { wrongOption } from '../engine/configuration-error.js';
import { addExceptions } from './known-exceptions.js';
import type { ClassTransformer } from '../replies/class-transformer.js';
import { Transformation } from '../replies/class-transformer.js';
import { hasPrivateState } from '../replies/data-class.js';
import {
  type ClassLike,
  KEEP_NAMES,
  keepsClassNames,
  knownClass,
  type KnownType,
  KnownTypes,
  named,
  type ReplyType,
  type ReturnedClass,
} from '../replies/known-types.js';
import type { ReplyValues } from '../replies/values.js';

/** What is known about values everywhere: the types of the module's options, and what is installed. */
export async function replyValues({
  types = [],
}: {
  readonly types?: readonly ReplyType[];
}): Promise<ReplyValues> {
  const known = new KnownTypes();
  for (const type of types) known.add(named(type));
  addExceptions(known);
  const transformer = await classTransformer();
  return { types: known, transformation: transformer && new Transformation(transformer) };
}

/** The application's, if it has one. */
async function classTransformer(): Promise<ClassTransformer | undefined> {
  try {
    return (await import('class-transformer')) as unknown as ClassTransformer;
  } catch {
    return undefined;
  }
}

/**
 * What is known about the values of a handler or of a step with `returns`.
 *
 * @param option the option's name in errors
 * @throws {@link IdempotencyConfigurationError} for anything but classes whose instances can be kept
 */
export function withReturned(
  base: ReplyValues,
  returns: ReturnedClass | readonly ReturnedClass[] | undefined,
  option = 'returns',
): ReplyValues {
  if (returns === undefined) return base;
  const list: readonly unknown[] = Array.isArray(returns) ? returns : [returns];
  if (list.length === 0) throw notAClass(option, returns);
  const types = new KnownTypes(base.types);
  const names = new Map<string, object>();
  for (const one of list) {
    const type = isReplyType(one) ? named(checkType(option, one)) : returnedClass(option, one);
    const { prototype } = type.class;
    if ((names.get(type.name) ?? prototype) !== prototype) throw taken(option, type.name);
    names.set(type.name, prototype);
    types.add(type);
  }
  return { ...base, types };
}

function returnedClass(option: string, given: unknown): KnownType {
  if (!isClass(given)) throw notAClass(option, given);
  const type = knownClass(given, 'named');
  if (type === undefined)
    throw wrongOption(
      option,
      'a class without a name',
      'a class that has one, because records name it',
      'Give the class a name, or use replyType({ name, class }).',
    );
  if (!keepsClassNames())
    throw wrongOption(
      option,
      `the class ${type.name}, in a bundle that shortens names`,
      'a class whose name stays the same from build to build, because records name it',
      `Use replyType({ name, class }), or keep the names: ${KEEP_NAMES}.`,
    );
  checkPrivacy(option, given);
  return type;
}

/** @throws {@link IdempotencyConfigurationError} for anything but a list of types with own names */
export function checkTypes(types: unknown): void {
  if (!Array.isArray(types))
    throw wrongOption('types', types, 'a list of replyType({ … })', 'Leave it out for none.');
  const names = new Set<string>();
  for (const given of types as readonly unknown[]) {
    const { name } = checkType('types', given);
    if (names.has(name)) throw taken('types', name);
    names.add(name);
  }
}

function checkType(option: string, given: unknown): ReplyType {
  const type = given as Partial<ReplyType> | null | undefined;
  if (typeof type !== 'object' || type === null || !isClass(type.class))
    throw wrongOption(
      option,
      given,
      'replyType({ name, class, toData, fromData })',
      'Make it with replyType() of nestjs-idempotency.',
    );
  if (typeof type.name !== 'string' || type.name === '')
    throw wrongOption(
      `${option}: name`,
      type.name,
      'a string that is not empty',
      'Give the type a name, such as `decimal`. It stands in the records, so do not change it later.',
    );
  const { name, toData, fromData } = type;
  const kinds = new Set([typeof toData, typeof fromData]);
  if (kinds.size === 2 || !['function', 'undefined'].includes(typeof toData))
    throw wrongOption(
      `${option}: ${name}`,
      'a type with one of toData and fromData, or with something that is no function',
      'both functions, or neither',
      'Give toData(instance), which returns data, and fromData(data), which returns an equal instance.',
    );
  if (toData === undefined) checkPrivacy(`${option}: ${name}`, type.class);
  return type as ReplyType;
}

/** Private state is not in the properties, and nothing else of the instance is kept. */
function checkPrivacy(option: string, type: ClassLike<object>): void {
  if (!hasPrivateState(type.prototype)) return;
  throw wrongOption(
    option,
    type,
    'a class without private state (`#member`), which cannot be read',
    'Use replyType({ name, class, toData, fromData }).',
  );
}

function isReplyType(given: unknown): given is ReplyType {
  return typeof given === 'object' && given !== null;
}

function isClass(given: unknown): given is ClassLike<object> {
  if (typeof given !== 'function') return false;
  const prototype: unknown = given.prototype;
  return typeof prototype === 'object' && prototype !== null;
}

function notAClass(option: string, given: unknown): Error {
  return wrongOption(
    option,
    given,
    'a class, a replyType({ … }), or a list of them',
    'Name the class itself, such as `returns: Order`, and for a list of orders too.',
  );
}

function taken(option: string, name: string): Error {
  return wrongOption(
    option,
    name,
    'a name of its own for each type',
    'Rename one of them, because records tell types apart by their names.',
  );
}
