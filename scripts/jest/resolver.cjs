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
/** Globals that packages have made: they are evaluated once, so these outlive a test file. */
const globals = (globalThis[Symbol.for('nestjs-idempotency.tests.globals')] ??= new Set());
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
  let exported;
  try {
    exported = evaluated(target);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ASYNC_MODULE') return target;
    throw error;
  }
  const required = `globalThis[Symbol.for('nestjs-idempotency.tests.require')](${JSON.stringify(target)})`;
  return isModuleNamespaceObject(exported)
    ? written(reexports(required, exported), 'mjs')
    : written(`module.exports = ${required};\n`, 'cjs');
}

function evaluated(target) {
  const before = new Set(Reflect.ownKeys(globalThis));
  const exported = require(target);
  for (const name of Reflect.ownKeys(globalThis)) if (!before.has(name)) globals.add(name);
  return exported;
}

function reexports(required, namespace) {
  let text = `const exported = ${required};\n`;
  for (const [index, name] of Object.keys(namespace).entries())
    text +=
      name === 'default'
        ? 'export default exported.default;\n'
        : `const e${index} = exported[${JSON.stringify(name)}];\nexport { e${index} as ${JSON.stringify(name)} };\n`;
  return text;
}

/** The file with this text, named by it. */
function written(text, type) {
  const name = createHash('sha256').update(text).digest('hex').slice(0, 24);
  const file = path.join(FOLDER, `${name}.${type}`);
  if (existsSync(file)) return file;
  // Under a name of its own first: nobody loads a module that is half written.
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
  return file;
}
