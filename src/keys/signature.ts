import { chain } from '../engine/awaitable.js';
import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { type CredentialDigest, defaultCredentials } from './credentials.js';
import { contentLines, linesWith } from './fingerprint.js';
import type { DottedBodyPath, KeyContext, KeySource } from './key-source.js';
import { sha256 } from './record-id.js';

/**
 * A tree of member names. `true` where a path ends, which means the member with everything in it.
 */
type PathTree = Map<string, PathTree | true>;

type Members = Readonly<Record<string, unknown>>;

/**
 * A function that copies only the chosen members of a body, or `undefined` if all of them are
 * chosen.
 *
 * @throws {@link IdempotencyConfigurationError} if a path is malformed, or if exclude removes
 *   everything that include chooses
 */
function bodySelection(options: {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}): ((body: unknown) => unknown) | undefined {
  const include = pathTree('include', options.include);
  const exclude = pathTree('exclude', options.exclude);
  if (include !== undefined && exclude !== undefined) {
    for (const path of options.include ?? []) {
      if (!covers(exclude, path.split('.'))) continue;
      throw wrongPath('include', path, 'paths that exclude does not remove again');
    }
  }
  if (include === undefined) return exclude && ((body) => without(body, exclude));
  if (exclude === undefined) return (body) => only(body, include);
  return (body) => without(only(body, include), exclude);
}

function only(value: unknown, tree: PathTree): unknown {
  return mapMembers(value, (members) => {
    const copy = emptyCopy();
    for (const [name, below] of tree) {
      if (!Object.hasOwn(members, name)) continue;
      copy[name] = below === true ? members[name] : only(members[name], below);
    }
    return copy;
  });
}

function without(value: unknown, tree: PathTree): unknown {
  return mapMembers(value, (members) => {
    const copy = emptyCopy();
    for (const name of Object.keys(members)) {
      const below = tree.get(name);
      if (below === true) continue;
      copy[name] = below === undefined ? members[name] : without(members[name], below);
    }
    return copy;
  });
}

/** Maps an object, or the objects directly in a list. Anything else stays as it is. */
function mapMembers(value: unknown, map: (members: Members) => unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((element: unknown) => (hasMembers(element) ? map(element) : element));
  }
  return hasMembers(value) ? map(value) : value;
}

function hasMembers(value: unknown): value is Members {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value)
  );
}

/** Without a prototype, `__proto__` is an ordinary name. */
function emptyCopy(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}

function pathTree(option: string, paths: unknown): PathTree | undefined {
  if (paths === undefined) return undefined;
  if (!Array.isArray(paths) || paths.length === 0) {
    throw wrongPath(option, paths, 'a list of at least one path');
  }
  const root: PathTree = new Map();
  for (const path of paths as readonly unknown[]) {
    if (typeof path !== 'string' || path.split('.').includes('')) {
      throw wrongPath(option, path, "names of members joined with dots, such as 'author.name'");
    }
    addPath(root, path.split('.'));
  }
  return root;
}

/** A path includes all paths below it. */
function addPath(root: PathTree, names: readonly string[]): void {
  let tree = root;
  for (const [at, name] of names.entries()) {
    const below = tree.get(name);
    if (below === true) return;
    if (at === names.length - 1) {
      tree.set(name, true);
    } else {
      const next: PathTree = below ?? new Map();
      tree.set(name, next);
      tree = next;
    }
  }
}

function covers(root: PathTree, names: readonly string[]): boolean {
  let tree: PathTree = root;
  for (const name of names) {
    const below = tree.get(name);
    if (below === undefined) return false;
    if (below === true) return true;
    tree = below;
  }
  return false;
}

function wrongPath(
  option: string,
  given: unknown,
  accepted: string,
): IdempotencyConfigurationError {
  return wrongOption(
    `key: signature.${option}`,
    given,
    accepted,
    'Name members of the body, or leave the option out.',
  );
}

/** Which members of the body make the key. Join names with dots: `'author.name'`. */
export interface SignatureOptions<T = unknown> {
  /** Only these members. Absent: all of them. */
  readonly include?: readonly DottedBodyPath<T>[];
  /** All but these members. Absent: none is excluded. */
  readonly exclude?: readonly DottedBodyPath<T>[];
}

/**
 * The key is a digest of the request's content: parameters, query, body and files, and the caller's
 * credentials if the principal is not known. Two requests with the same content are one operation,
 * so set a short `ttl`. The order of members does not matter.
 *
 * Query and parameters always count. A name that leads through a list means that member of each
 * element. A body that is not an object or a list of objects counts as a whole.
 *
 * @example
 * signature<CommentDto>({ exclude: ['sentAt'] })
 *
 * @throws {@link IdempotencyConfigurationError} if the options are invalid
 */
export function signature<T = unknown>(options: SignatureOptions<T> = {}): KeySource {
  const wrong = Object.keys(options).find((name) => name !== 'include' && name !== 'exclude');
  if (wrong !== undefined) {
    throw wrongOption(
      `key: signature.${wrong}`,
      (options as Readonly<Record<string, unknown>>)[wrong],
      'the options include and exclude',
      'Remove the option, or correct its name.',
    );
  }
  const select = bodySelection(options);
  const signedBy = (credentials: CredentialDigest, content?: KeyContext['content']): KeySource => ({
    description: 'signature of the content',
    readsOnlyHead: false,
    coversContent: true,
    isNeverMissing: true,
    isNeverInvalid: true,
    read: (call) => {
      const signed = (lines: string): string => sha256(`${lines}\n${credentials(call) ?? ''}`);
      if (content === undefined) return signed(contentLines(call, select));
      return chain(content(call), (found) =>
        signed(linesWith(call, select === undefined ? found : select(found))),
      );
    },
    resolve: (context) => signedBy(context.credentials ?? credentials, context.content),
  });
  return signedBy(defaultCredentials);
}
