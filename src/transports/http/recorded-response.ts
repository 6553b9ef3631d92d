import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/**
 * Members that take precedence over all others of an object.
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

  /** @returns the members of the object that are now covered, as they were */
  cover(target: object): object {
    const base = Object.getPrototypeOf(target) as object;
    const isOfItsClass = base === target.constructor.prototype;
    if (!isOfItsClass) Object.setPrototypeOf(target, this.over(base));
    let beneath = base;
    for (const [name, member] of this.members) {
      // Members that other middleware has wrapped are on the object itself.
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

/** Methods that change single headers. */
export type HeaderMethod = 'setHeader' | 'setHeaders' | 'appendHeader' | 'removeHeader';

/** Receives the calls of a response whose reply is held back. */
export interface Recorder {
  readonly headersSent: unknown;
  readonly writableEnded: unknown;
  writeHead(args: HeadArguments): unknown;
  changeHeader(method: HeaderMethod, args: readonly unknown[]): unknown;
  flushHeaders(): void;
  write(args: ChunkArguments): unknown;
  end(args: ChunkArguments): unknown;
  addTrailers(trailers: unknown): unknown;
  destroy(args: [error?: Error]): unknown;
  emit(args: [event: string | symbol, ...rest: unknown[]]): unknown;
}

const RECORDER = Symbol.for('nestjs-idempotency:recorder');
type Recorded = ServerResponse & { [RECORDER]: Recorder };

function recorderOf(response: object): Recorder {
  return (response as Recorded)[RECORDER];
}

const methods = {
  writeHead(...args: unknown[]) {
    return recorderOf(this).writeHead(args as HeadArguments);
  },
  flushHeaders() {
    return recorderOf(this).flushHeaders();
  },
  write(...args: unknown[]) {
    return recorderOf(this).write(args as ChunkArguments);
  },
  end(...args: unknown[]) {
    return recorderOf(this).end(args as ChunkArguments);
  },
  addTrailers(trailers: unknown) {
    return recorderOf(this).addTrailers(trailers);
  },
  destroy(...args: unknown[]) {
    return recorderOf(this).destroy(args as [Error?]);
  },
  emit(...args: unknown[]) {
    return recorderOf(this).emit(args as [string]);
  },
};

const headerMethods = {
  setHeader(...args: unknown[]) {
    return recorderOf(this).changeHeader('setHeader', args);
  },
  setHeaders(...args: unknown[]) {
    return recorderOf(this).changeHeader('setHeaders', args);
  },
  appendHeader(...args: unknown[]) {
    return recorderOf(this).changeHeader('appendHeader', args);
  },
  removeHeader(...args: unknown[]) {
    return recorderOf(this).changeHeader('removeHeader', args);
  },
};

const states = {
  get headersSent() {
    return recorderOf(this).headersSent;
  },
  set headersSent(_) {},
  get writableEnded() {
    return recorderOf(this).writableEnded;
  },
  set writableEnded(_) {},
};

/** Shared by all responses, so that a request only pays for attaching them. */
const RECORDED = new Overlay(methods);
/**
 * Only attached if something will read them, because an accessor on the response costs more than a
 * method.
 */
export const ANSWERED = new Overlay(states);
/** Only once the head is written, for the same reason. */
export const HEADERS_FIXED = new Overlay(headerMethods);
/** On a prototype, all of them cost as much as one. */
const RECORDED_NATIVE = new Overlay(methods, headerMethods, states);

/**
 * Puts the recorder between a response and the code that writes it. Returns the members as they
 * were.
 */
export function recordInto(
  recorder: Recorder,
  response: ServerResponse,
  isNativeApi: boolean,
): object {
  (response as Recorded)[RECORDER] = recorder;
  return (isNativeApi ? RECORDED_NATIVE : RECORDED).cover(response);
}

export type Done = (error?: Error | null) => void;

export type Chunk = string | Uint8Array;

/** Node's overloads of `write` and `end`: the encoding may be left out. */
export type ChunkArguments = [
  chunk?: Chunk | Done | null,
  encoding?: BufferEncoding | Done | null,
  done?: Done | null,
];

/** The arguments of `writeHead`: headers come last. */
export type HeadArguments = [status: number, ...rest: unknown[]];

/** Sorts out which argument is which. */
export function normalize(args: ChunkArguments): {
  chunk?: Chunk;
  encoding?: BufferEncoding;
  done?: Done;
} {
  const [first, second, third] = args;
  if (typeof first === 'function') return { done: first };
  // Node treats every falsy chunk as none.
  const chunk = first || undefined;
  if (typeof second === 'function') return { chunk, done: second };
  return { chunk, encoding: second ?? undefined, done: third ?? undefined };
}

/** The headers on a response, and those passed to `writeHead` (as Fastify does). */
export function headersOf(
  response: ServerResponse,
  head: HeadArguments | undefined,
): OutgoingHttpHeaders {
  const headers = response.getHeaders();
  const given = head?.at(-1);
  if (typeof given !== 'object' || given === null) return headers;
  if (!Array.isArray(given)) return Object.assign(headers, given);
  for (let i = 0; i + 1 < given.length; i += 2) headers[String(given[i])] = given[i + 1] as string;
  return headers;
}

/** Removes a header that has this value from an object of headers. */
export function dropHeader(headers: unknown, name: string, value: string): void {
  if (typeof headers !== 'object' || headers === null) return;
  for (const [key, given] of Object.entries(headers))
    if (key.toLowerCase() === name.toLowerCase() && given === value)
      Reflect.deleteProperty(headers, key);
}
