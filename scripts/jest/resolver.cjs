// Where this project imports a package, a test gets the one of its worker (environment.mjs).
const { createHash } = require('node:crypto');
const { existsSync, mkdirSync, renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { isModuleNamespaceObject } = require('node:util').types;

const ROOT = path.join(__dirname, '../..');
const FOLDER = path.join(ROOT, 'node_modules/.cache/test-packages');
const OURS = /^(src|test|sample-app|bench)(\W|$)/;
const PACKAGES = `${path.sep}node_modules${path.sep}`;
/** They collect the types of all that is imported: evaluated for each file. */
const COLLECTORS = /[\\/]node_modules[\\/]@nestjs[\\/](graphql|apollo|mercurius)([\\/]|$)/;

const known = new Map();
mkdirSync(FOLDER, { recursive: true });

module.exports = (request, options) => {
  const target = options.defaultResolver(request, options);
  const isShared =
    target.includes(PACKAGES) &&
    /\.[cm]?js$/.test(target) &&
    (OURS.test(path.relative(ROOT, options.basedir)) || COLLECTORS.test(options.basedir)) &&
    !COLLECTORS.test(target);
  if (!isShared) return target;
  if (!known.has(target)) known.set(target, moduleFor(target));
  return known.get(target);
};

/** A module that is `target` as Node itself has it; `target` where Node can only import it. */
function moduleFor(target) {
  const name = createHash('sha256').update(target).digest('hex').slice(0, 24);
  const found = ['cjs', 'mjs'].map((type) => path.join(FOLDER, `${name}.${type}`)).find(existsSync);
  if (found !== undefined) return found;
  let exported;
  try {
    exported = require(target);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ASYNC_MODULE') return target;
    throw error;
  }
  const required = `globalThis[Symbol.for('nestjs-idempotency.tests.require')](${JSON.stringify(target)})`;
  const isNamespace = isModuleNamespaceObject(exported);
  const file = path.join(FOLDER, `${name}.${isNamespace ? 'mjs' : 'cjs'}`);
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
  return [`const exported = ${required};`, ...lines, ''].path.join('\n');
}
