import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { type CredentialDigest, defaultCredentials } from './credentials.js';
import { contentLines } from './fingerprint.js';
import type { DottedBodyPath, KeySource } from './key-source.js';
import { sha256 } from './record-id.js';

/** Names by name; `true` where a path ends: the member with everything in it. */
type PathTree = Map<string, PathTree | true>;

type Members = Readonly<Record<string, unknown>>;

/**
 * A function that makes a copy of a body with the chosen members only, or `undefined` when all
 * of them are.
 *
 * @throws {@link IdempotencyConfigurationError} when a path is malformed, or excluded with
 *   all that is included
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
      throw wrongPath('include', path, 'paths that exclude does not take away again');
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

/** Of lists, the objects that are directly in them. Anything else stays whole. */
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

/** Without a prototype, `__proto__` is a name like any other. */
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

/** A path that ends above another one takes that one in. */
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

/** What of the body makes the key. Names of members, joined with dots: `'author.name'`. */
export interface SignatureOptions<T = unknown> {
  /** These members only. Absent: all of them. */
  readonly include?: readonly DottedBodyPath<T>[];
  /** All but these members. Absent: none is left out. */
  readonly exclude?: readonly DottedBodyPath<T>[];
}

/**
 * The request's own content as key: parameters, query, body and files, and the caller's
 * credentials where the principal is not known. Two requests that say the same are one
 * operation, so give it a short `ttl`. The order of members does not matter.
 *
 * Query and parameters always count. A name that leads through a list means that member of
 * each of its elements. A body that is no object or list of objects counts whole.
 *
 * @example
 * signature<CommentDto>({ exclude: ['sentAt'] })
 *
 * @throws {@link IdempotencyConfigurationError} when the options are wrong
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
  const signedBy = (credentials: CredentialDigest): KeySource => ({
    description: 'signature of the content',
    readsOnlyHead: false,
    coversContent: true,
    isNeverMissing: true,
    isNeverInvalid: true,
    read: (call) => sha256(`${contentLines(call, select)}\n${credentials(call) ?? ''}`),
    resolve: (context) => signedBy(context.credentials ?? credentials),
  });
  return signedBy(defaultCredentials);
}
