/** Returns the same object to all copies of the package in the process, such as ESM beside CJS. */
export function shared<T extends object>(name: string, make: () => T): T {
  const slots = globalThis as { [slot: symbol]: unknown };
  return (slots[Symbol.for(`nestjs-idempotency:${name}`)] ??= make()) as T;
}
