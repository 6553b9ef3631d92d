import { ERRORS, hasPrivateState, moreThanData, reasonOf } from './data-class.js';
import type { KnownType } from './known-types.js';

/** Members of errors that the language itself hides. */
export const HIDDEN: ReadonlySet<string> = new Set(['cause', 'errors', 'name']);

/** Why an error is more than its data. The class that is known, and those above it, do not count. */
export function errorReason(prototype: object, known: KnownType | undefined): string | undefined {
  if (known === undefined) return moreThanData(prototype);
  if (known.trust === 'named' && hasPrivateState(prototype)) return 'has private state';
  return addedTo(known.class.prototype, prototype);
}

/** Why subclasses of a known class are more than data, if they are. */
export function addedTo(known: object, prototype: object): string | undefined {
  for (let one = prototype; one !== known; one = Object.getPrototypeOf(one) as object) {
    const reason = reasonOf(one);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The name of the language's own error that the class of an error extends. */
export function rootName(prototype: object): string {
  for (const [name, type] of Object.entries(ERRORS))
    if (
      name !== 'Error' &&
      (prototype === type.prototype ||
        Object.prototype.isPrototypeOf.call(type.prototype, prototype))
    )
      return name;
  return 'Error';
}

/** The text of a member that is not enumerable. */
export function hiddenText(object: object, key: string): string | undefined {
  const member = Object.getOwnPropertyDescriptor(object, key);
  return member !== undefined && !member.enumerable ? String(member.value) : undefined;
}

export function isDomException(error: object): boolean {
  return Object.getPrototypeOf(error) === DOMException.prototype;
}
