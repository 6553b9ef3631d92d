// Each test file, and what it imports of this project, is evaluated for itself; packages are evaluated
// once per worker (resolver.cjs). Both share the process's own realm: with a realm per file, as Jest
// makes it, `instanceof Error` would be false for what a package throws.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import vm from 'node:vm';
import { ModuleMocker } from 'jest-mock';

/** What modules that stand for a package call (resolver.cjs). */
const REQUIRE = Symbol.for('nestjs-idempotency.tests.require');
/** Globals of packages (resolver.cjs). */
const globals = (globalThis[Symbol.for('nestjs-idempotency.tests.globals')] ??= new Set());
/** Stands for the process's own realm where Jest's runtime asks for a context. */
const OWN_REALM = {};
/** Those that a test file has used. Before Node 24, each one makes every promise of its process slower. */
const storages = new Set();

if (!(REQUIRE in globalThis)) {
  globalThis[REQUIRE] = createRequire(import.meta.url);
  const { SourceTextModule, SyntheticModule, compileFunction } = vm;
  vm.SourceTextModule = class extends SourceTextModule {
    constructor(code, options) {
      super(code, inOwnRealm(options, 'context'));
    }
  };
  vm.SyntheticModule = class extends SyntheticModule {
    constructor(names, evaluate, options) {
      super(names, evaluate, inOwnRealm(options, 'context'));
    }
  };
  vm.compileFunction = (code, parameters, options) =>
    compileFunction(code, parameters, inOwnRealm(options, 'parsingContext'));
  for (const name of ['run', 'enterWith']) {
    const method = AsyncLocalStorage.prototype[name];
    AsyncLocalStorage.prototype[name] = function (...given) {
      storages.add(this);
      return method.apply(this, given);
    };
  }
}

export default class SharedRealm {
  global = globalThis;
  moduleMocker = new ModuleMocker(globalThis);
  // Tests use the manual clock of the library.
  fakeTimers = null;
  fakeTimersModern = null;

  setup() {
    this.env = { ...process.env };
    this.names = new Set(Reflect.ownKeys(globalThis));
  }

  /** The next file of this worker finds what this one found. */
  teardown() {
    for (const name of Reflect.ownKeys(globalThis))
      if (!this.names.has(name) && !globals.has(name)) Reflect.deleteProperty(globalThis, name);
    for (const name of Object.keys(process.env)) if (!(name in this.env)) delete process.env[name];
    Object.assign(process.env, this.env);
    for (const storage of storages) storage.disable();
    storages.clear();
  }

  exportConditions() {
    return ['node', 'node-addons'];
  }

  getVmContext() {
    return OWN_REALM;
  }
}

function inOwnRealm(options, name) {
  return options?.[name] === OWN_REALM ? { ...options, [name]: undefined } : options;
}
