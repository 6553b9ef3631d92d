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
  constructor(...members: object[]) {
    this.members = members.flatMap((some) =>
      Object.entries(Object.getOwnPropertyDescriptors(some)),
    );
  }

  /** @returns what the members now stand before: the object as it was, where they are concerned */
  cover(target: object): object {
    const base = Object.getPrototypeOf(target) as object;
    const isOfItsClass = base === target.constructor.prototype;
    if (!isOfItsClass) Object.setPrototypeOf(target, this.over(base));
    let beneath = base;
    for (const [name, member] of this.members) {
      // What other middleware has wrapped stands on the object itself.
      const isOwn = Object.hasOwn(target, name);
      if (isOwn) beneath = withOwn(beneath === base ? Object.create(base) : beneath, target, name);
      if (isOwn || isOfItsClass) put(target, name, member);
    }
    return beneath;
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

function withOwn(beneath: object, target: object, name: string): object {
  return Object.defineProperty(beneath, name, Object.getOwnPropertyDescriptor(target, name)!);
}

function put(target: object, name: string, member: PropertyDescriptor): void {
  if (member.get) Object.defineProperty(target, name, member);
  else (target as Record<string, unknown>)[name] = member.value;
}
