/**
 * Members that come before all others of an object, put there in one step: it gets a prototype
 * that holds them, made once per former prototype. Express gives every response a hidden class
 * of its own, so that each new property costs some microseconds there.
 */
export class Overlay {
  private readonly members: readonly (readonly [name: string, member: PropertyDescriptor])[];
  private readonly prototypes = new WeakMap<object, object>();

  /** @param members methods and accessors, called with the covered object as `this` */
  constructor(members: object) {
    this.members = Object.entries(Object.getOwnPropertyDescriptors(members));
  }

  cover(target: object): void {
    Object.setPrototypeOf(target, this.over(Object.getPrototypeOf(target) as object));
    // What other middleware has wrapped stands on the object itself.
    for (const [name, member] of this.members)
      if (Object.hasOwn(target, name)) Object.defineProperty(target, name, member);
  }

  private over(base: object): object {
    let prototype = this.prototypes.get(base);
    if (prototype === undefined) {
      prototype = Object.create(base, Object.fromEntries(this.members)) as object;
      this.prototypes.set(base, prototype);
    }
    return prototype;
  }
}
