/**
 * Members that come before all others of an object.
 *
 * On an object of a class they become its own properties: all objects of the class share one
 * hidden class with them, so that this costs next to nothing. Where a framework has changed the
 * prototype (Express does, of every response), each object has a hidden class of its own and a new
 * property costs microseconds. There they come in one step: by one more prototype, made once.
 */
export class Overlay {
  private readonly members: readonly (readonly [name: string, member: PropertyDescriptor])[];
  private readonly prototypes = new WeakMap<object, object>();

  /** @param members methods and accessors, called with the covered object as `this` */
  constructor(members: object) {
    this.members = Object.entries(Object.getOwnPropertyDescriptors(members));
  }

  cover(target: object): void {
    const base = Object.getPrototypeOf(target) as object;
    const isOfItsClass = base === target.constructor.prototype;
    if (!isOfItsClass) Object.setPrototypeOf(target, this.over(base));
    for (const [name, member] of this.members)
      // What other middleware has wrapped stands on the object itself.
      if (isOfItsClass || Object.hasOwn(target, name)) put(target, name, member);
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

function put(target: object, name: string, member: PropertyDescriptor): void {
  if (member.get) Object.defineProperty(target, name, member);
  else (target as Record<string, unknown>)[name] = member.value;
}
