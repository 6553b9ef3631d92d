import { types } from 'node:util';
import { Inside, kindOf, NotKeepableError, type Path } from './not-keepable.js';
import { setMember } from './marks.js';
import { plainnessOf } from './plain-values.js';
import { EmittedValues } from './reply.js';
import { checkDecorators } from './class-transformer.js';
import type { Keeping } from './kept-value.js';

/**
 * What a receiver of JSON gets of a value: objects with `toJSON()` as what it returns, instances as
 * their enumerable properties, without functions, symbols and hidden members. Dates, bytes, maps,
 * sets and registered types stay, for transports with a form of their own for them.
 *
 * @throws {@link NotKeepableError} for what has no JSON: a cycle, a `bigint`, a `toJSON()` that throws;
 *   and for an instance that `class-transformer` shows differently, because a serializer further out
 *   would show everything of its copy
 */
export function jsonView(value: unknown, keeping: Keeping): unknown {
  return new JsonView(keeping).of(value, '', undefined);
}

/** Like {@link jsonView}, for one value or several. Values that JSON has anyway stay as they are. */
export function sentAsJson(value: unknown, keeping: Keeping): unknown {
  if (value instanceof EmittedValues)
    return new EmittedValues(value.values.map((one) => sentAsJson(one, keeping)));
  return plainnessOf(value) === 'json' ? value : jsonView(value, keeping);
}

const DROPPED = Symbol('dropped');

class JsonView {
  private readonly around = new Set<object>();

  constructor(private readonly keeping: Keeping) {}

  of(value: unknown, key: string, path: Path | undefined): unknown {
    const seen = this.view(value, key, path);
    return seen === DROPPED ? undefined : seen;
  }

  private view(value: unknown, key: string, path: Path | undefined): unknown {
    if (typeof value === 'bigint') return this.bigint(value, key, path);
    if (typeof value === 'symbol') return DROPPED;
    // As JSON.stringify() does.
    if (typeof value === 'function')
      return hasToJson(value) ? this.fromToJson(value, key, path) : DROPPED;
    if (typeof value !== 'object' || value === null) return value;
    if (hasBigints(value)) return this.bigint(value, key, path);
    if (types.isDate(value)) return this.date(value, key, path);
    return stays(value) || this.isRegistered(value) ? value : this.object(value, key, path);
  }

  private object(object: object, key: string, path: Path | undefined): unknown {
    if (hasToJson(object)) return this.fromToJson(object, key, path);
    if (this.around.has(object))
      throw new NotKeepableError(path, kindOf(object), 'contains itself, so it has no JSON');
    this.around.add(object);
    try {
      if (Array.isArray(object)) return this.items(object, path);
      if (types.isMap(object) || types.isSet(object)) return this.collection(object, path);
      checkDecorators(object, this.keeping.transformation, path);
      return this.members(object, path);
    } finally {
      this.around.delete(object);
    }
  }

  private items(items: readonly unknown[], path: Path | undefined): unknown {
    return Array.from(items, (item, index) => {
      const view = this.view(item, String(index), { outer: path, key: Inside.item });
      return view === DROPPED ? null : view;
    });
  }

  private members(object: object, path: Path | undefined): object {
    const members = {};
    for (const key of Object.keys(object)) {
      const value: unknown = called(
        () => (object as Readonly<Record<string, unknown>>)[key],
        { outer: path, key },
        'an accessor',
      );
      const view = this.view(value, key, { outer: path, key });
      if (view !== DROPPED) setMember(members, key, view);
    }
    return members;
  }

  /** JSON has none, so nothing in them is in the way. */
  private collection(
    object: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>,
    path: Path | undefined,
  ): unknown {
    try {
      const inside = { outer: path, key: Inside.item };
      if (types.isSet(object)) return new Set([...object].map((item) => this.of(item, '', inside)));
      const entries = [...(object as ReadonlyMap<unknown, unknown>)];
      return new Map(
        entries.map(([key, value]) => [this.of(key, '', inside), this.of(value, '', inside)]),
      );
    } catch (error) {
      if (!(error instanceof NotKeepableError)) throw error;
      return this.members(object, path);
    }
  }

  /** A date as itself, without what JSON does not show of it, unless it decides its own JSON. */
  private date(date: Date, key: string, path: Path | undefined): unknown {
    // oxlint-disable-next-line typescript/unbound-method -- compared, not called
    if (date.toJSON !== Date.prototype.toJSON) return this.fromToJson(date, key, path);
    return new Date(Date.prototype.getTime.call(date));
  }

  private bigint(value: bigint | object, key: string, path: Path | undefined): unknown {
    // Some applications give all bigints a form.
    if (hasToJson(BigInt.prototype))
      return typeof value === 'bigint' ? this.fromToJson(value, key, path) : value;
    throw new NotKeepableError(path, 'a bigint', 'JSON does not have');
  }

  private fromToJson(value: unknown, key: string, path: Path | undefined): unknown {
    const json: unknown = called(
      () => (value as { toJSON(key: string): unknown }).toJSON(key),
      path,
      kindOf(value),
    );
    // What toJSON() returns is not asked again.
    if (typeof json !== 'object' || json === null || !hasToJson(json) || stays(json))
      return this.view(json, key, path);
    return this.members(json, path);
  }

  private isRegistered(object: object): boolean {
    return this.keeping.types.ofInstance(object)?.toData !== undefined;
  }
}

function hasBigints(object: object): boolean {
  return (
    types.isBigIntObject(object) || types.isBigInt64Array(object) || types.isBigUint64Array(object)
  );
}

function hasToJson(value: unknown): boolean {
  return typeof (value as { readonly toJSON?: unknown }).toJSON === 'function';
}

/** Kinds of objects that a receiver of JSON gets in one form, and of others as themselves. */
function stays(object: object): boolean {
  return types.isDate(object) || ArrayBuffer.isView(object) || types.isBoxedPrimitive(object);
}

function called(run: () => unknown, path: Path | undefined, kind: string): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new NotKeepableError(path, kind, `throws ${kindOf(error)} when it is read`);
  }
}
