// Where this project imports a package, a test gets the one of its worker (environment.mjs).
const { createHash } = require('node:crypto');
const { existsSync, mkdirSync, renameSync, writeFileSync } = require('node:fs');
const { join, relative, sep } = require('node:path');
const { isModuleNamespaceObject } = require('node:util').types;

const ROOT = join(__dirname, '../..');
const FOLDER = join(ROOT, 'node_modules/.cache/test-packages');
const OURS = /^(src|test|sample-app|bench)(\W|$)/;
const PACKAGES = `${sep}node_modules${sep}`;
/** They collect the types of all that is imported: evaluated for each file. */
const COLLECTORS = /[\\/]node_modules[\\/]@nestjs[\\/](graphql|apollo|mercurius)([\\/]|$)/;

const known = new Map();
mkdirSync(FOLDER, { recursive: true });

module.exports = (request, options) => {
  const path = options.defaultResolver(request, options);
  const isShared =
    path.includes(PACKAGES) &&
    /\.[cm]?js$/.test(path) &&
    (OURS.test(relative(ROOT, options.basedir)) || COLLECTORS.test(options.basedir)) &&
    !COLLECTORS.test(path);
  if (!isShared) return path;
  if (!known.has(path)) known.set(path, moduleFor(path));
  return known.get(path);
};

/** A module that is `path` as Node itself has it; `path` where Node can only import it. */
function moduleFor(path) {
  const name = createHash('sha256').update(path).digest('hex').slice(0, 24);
  const found = ['cjs', 'mjs'].map((type) => join(FOLDER, `${name}.${type}`)).find(existsSync);
  if (found !== undefined) return found;
  let exported;
  try {
    exported = require(path);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ASYNC_MODULE') return path;
    throw error;
  }
  const required = `globalThis[Symbol.for('nestjs-idempotency.tests.require')](${JSON.stringify(path)})`;
  const isNamespace = isModuleNamespaceObject(exported);
  const file = join(FOLDER, `${name}.${isNamespace ? 'mjs' : 'cjs'}`);
  // Under a name of its own first: nobody loads a module that is half written.
  const draft = `${file}.${process.pid}`;
  writeFileSync(
    draft,
    isNamespace ? reexports(required, exported) : `module.exports = ${required};\n`,
  );
  renameSync(draft, file);
  return file;
}

function reexports(required, namespace) {
  const lines = Object.keys(namespace).map((name, index) =>
    name === 'default'
      ? 'export default exported.default;'
      : `const e${index} = exported[${JSON.stringify(name)}];\nexport { e${index} as ${JSON.stringify(name)} };`,
  );
  return [`const exported = ${required};`, ...lines, ''].join('\n');
}
