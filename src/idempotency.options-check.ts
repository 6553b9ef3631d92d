import { checkEncryption } from './encryption/encryption-options.js';
import { type IdempotencyConfigurationError, wrongOption } from './engine/configuration-error.js';
import { parseDuration } from './engine/duration.js';
import { checkTypes } from './operation/returned-classes.js';
import { isHeaderName } from './keys/header-source.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  MODULE_DEFAULTS,
} from './options/idempotency.options.js';
import { CIRCUIT_DEFAULTS, SWEEP_DEFAULTS } from './options/store-options.js';
import { remedyFor, remedyForScope } from './options/moved-options.js';
import { checkTokenOptions } from './tokens/token-options-check.js';

const KNOWN_OPTIONS = [
  ...Object.keys(MODULE_DEFAULTS),
  'store',
  'locks',
  'allowMemoryStore',
  'principal',
  'encryption',
  'problemBaseUrl',
  'resources',
  'limits',
  'circuitBreaker',
  'replayCache',
  'unrecordedHeaders',
  'tokens',
  'types',
  'defaults',
];

const HANDLER_OPTIONS: readonly string[] = [...Object.keys(DEFAULTS), 'fingerprint', 'onError'];

const COVERAGE: readonly string[] = ['off', 'log', 'error'];

/** @throws {@link IdempotencyConfigurationError} for the first invalid option of the module */
export function checkModuleOptions(options: IdempotencyModuleOptions): void {
  const { credentialHeaders, header, maxResponseBytes, principal, problemBaseUrl, store } = options;
  const { allowMemoryStore, coverage, defaults, encryption, tokens } = options;
  const { scope } = options as { readonly scope?: unknown };
  if (scope !== undefined) throw wrongOption('scope', scope, 'nothing here', remedyForScope(scope));
  for (const option of Object.keys(options))
    if (!KNOWN_OPTIONS.includes(option))
      throw wrongOption(
        option,
        (options as Record<string, unknown>)[option],
        KNOWN_OPTIONS.join(', '),
        remedyFor(option, remedyForUnknown(option)),
      );
  if (header !== undefined && !isHeaderName(header))
    throw wrongOption(
      'header',
      header,
      'the name of a header',
      `Leave it out to use ${MODULE_DEFAULTS.header}.`,
    );
  if (
    credentialHeaders !== undefined &&
    !(Array.isArray(credentialHeaders) && credentialHeaders.every(isHeaderName))
  )
    throw wrongOption(
      'credentialHeaders',
      credentialHeaders,
      'a list of header names',
      `Leave it out to use ${MODULE_DEFAULTS.credentialHeaders.join(', ')}.`,
    );
  if (
    maxResponseBytes !== undefined &&
    !(Number.isSafeInteger(maxResponseBytes) && maxResponseBytes >= 0)
  )
    throw wrongOption(
      'maxResponseBytes',
      maxResponseBytes,
      'a whole number of bytes, 0 or more',
      'Leave it out to use 1 MiB.',
    );
  for (const [option, least] of [
    ['maxDeferredCompletions', 1],
    ['maxDeferredBytes', 0],
  ] as const) {
    const given = options[option];
    if (given !== undefined && !(Number.isSafeInteger(given) && given >= least))
      throw wrongOption(
        option,
        given,
        `a whole number, ${least} or more`,
        `Leave it out to use ${MODULE_DEFAULTS[option]}.`,
      );
  }
  if (options.unrecordedHeaders !== undefined) checkUnrecorded(options.unrecordedHeaders);
  if (options.limits !== undefined) checkLimits(options.limits);
  if (options.circuitBreaker !== undefined) checkCircuit(options.circuitBreaker);
  if (options.replayCache !== undefined) checkReplayCache(options.replayCache);
  if (options.sweep !== undefined) checkSweep(options.sweep);
  if (options.shutdownTimeout !== undefined)
    parseDuration('shutdownTimeout', options.shutdownTimeout, { zero: true });
  if (principal !== undefined && typeof principal !== 'function')
    throw wrongOption(
      'principal',
      principal,
      'a function of the call',
      'Return the id of the caller.',
    );
  if (problemBaseUrl !== undefined && !URL.canParse(String(problemBaseUrl)))
    throw wrongOption(
      'problemBaseUrl',
      problemBaseUrl,
      'an absolute URL',
      "Include the scheme and a trailing '/' or '#'.",
    );
  if (allowMemoryStore !== undefined && typeof allowMemoryStore !== 'boolean')
    throw wrongOption(
      'allowMemoryStore',
      allowMemoryStore,
      'true or false',
      'Leave it out to use false.',
    );
  if (coverage !== undefined && !COVERAGE.includes(coverage))
    throw wrongOption(
      'coverage',
      coverage,
      COVERAGE.map((one) => `'${one}'`).join(', '),
      "Leave it out to use 'off'.",
    );
  if (defaults !== undefined && (typeof defaults !== 'object' || defaults === null))
    throw wrongOption('defaults', defaults, 'an object of options', 'Leave it out to set none.');
  if (options.types !== undefined) checkTypes(options.types);
  if (tokens !== undefined) checkTokenOptions(tokens);
  if (encryption !== undefined) checkEncryption(encryption);
  if (
    options.locks !== undefined &&
    !(has(options.locks, 'acquire') && !has(options.locks, 'find'))
  )
    throw wrongOption(
      'locks',
      options.locks,
      'a lock service',
      'Pass zookeeperLocks({ client }) or etcdLocks({ client }). For a store, pass storeLocks({ store }).',
    );
  if (store !== undefined && !has(store, 'useFactory'))
    checkStore(store, 'a store, or { inject, useFactory }');
}

/** Options of handlers, which the module takes as defaults only. */
function remedyForUnknown(option: string): string {
  return HANDLER_OPTIONS.includes(option)
    ? `Options of handlers are given as \`defaults: { ${option}: … }\`.`
    : 'Remove the option, or correct its name.';
}

/** Without these nobody could read the body of a replay. */
const OF_THE_BODY = ['content-type', 'content-encoding'];

function checkUnrecorded(given: unknown): void {
  const wrong = (accepted: string, remedy: string): IdempotencyConfigurationError =>
    wrongOption('unrecordedHeaders', given, accepted, remedy);
  const names = Array.isArray(given) ? (given as unknown[]) : [undefined];
  for (const name of names) {
    const beginning = typeof name === 'string' ? name.replace(/\*$/, '') : undefined;
    if (beginning === undefined || !isHeaderName(beginning) || beginning.includes('*'))
      throw wrong(
        "a list of header names, or of beginnings such as 'x-signature-*'",
        'Leave it out to record every header that the handler sets.',
      );
    const isPrefix = beginning !== name;
    const needed = OF_THE_BODY.find((one) =>
      isPrefix ? one.startsWith(beginning.toLowerCase()) : one === beginning.toLowerCase(),
    );
    if (needed !== undefined)
      throw wrong(`no ${needed}: without it, nobody can read a replay`, 'Remove the name.');
  }
}

/** The greatest values of each limit. */
const MOST = { inFlight: 1_000, newKeysPerMinute: 100_000 } as const;

function checkLimits(limits: unknown): void {
  const names = Object.keys(MOST);
  const accepted = `an object with ${names.join(', ')} or both`;
  const given = membersOf('limits', limits, names, accepted, 'for callers without limits');
  if (Object.keys(given).length === 0)
    throw wrongOption('limits', limits, accepted, 'Leave it out for callers without limits.');
  for (const name of Object.keys(given) as (keyof typeof MOST)[]) {
    const range = { least: 1, most: MOST[name] };
    checkWholeNumber(`limits.${name}`, given[name], range, 'Leave it out for no limit.');
  }
}

const LEAST_CACHE_BYTES = 1_024;

function checkReplayCache(cache: unknown): void {
  const without = 'to ask the store for every retry';
  const remedy = `Leave replayCache out ${without}.`;
  const accepted = 'an object with bytes and perhaps maxAge';
  const { bytes, maxAge } = membersOf('replayCache', cache, ['bytes', 'maxAge'], accepted, without);
  const range = { least: LEAST_CACHE_BYTES, most: Number.MAX_SAFE_INTEGER };
  checkWholeNumber('replayCache.bytes', bytes, range, remedy);
  if (maxAge !== undefined) parseDuration('replayCache.maxAge', maxAge as string);
}

const CIRCUIT_OPTIONS = Object.keys(CIRCUIT_DEFAULTS);
const MOST_FAILURES = 1_000;

function checkCircuit(circuit: unknown): void {
  if (circuit === false) return;
  const accepted = `an object with ${CIRCUIT_OPTIONS.join(', ')} or both, or false`;
  const given = membersOf('circuitBreaker', circuit, CIRCUIT_OPTIONS, accepted, 'for its defaults');
  const { failures, pause } = given;
  const range = { least: 1, most: MOST_FAILURES };
  const remedy = `Leave it out for ${CIRCUIT_DEFAULTS.failures}.`;
  if (failures !== undefined) checkWholeNumber('circuitBreaker.failures', failures, range, remedy);
  if (pause !== undefined) parseDuration('circuitBreaker.pause', pause as string);
}

const MOST_IN_A_PAGE = 1_000;

/** @throws {@link IdempotencyConfigurationError} */
export function checkSweep(sweep: unknown, place = 'sweep'): void {
  if (typeof sweep === 'boolean') return;
  const names = Object.keys(SWEEP_DEFAULTS);
  const accepted = `true, false, or an object with ${names.join(', ')}`;
  const given = membersOf(place, sweep, names, accepted, 'for no sweep');
  const { batch, every, pause, time } = given;
  const range = { least: 1, most: MOST_IN_A_PAGE };
  const remedy = `Leave it out for ${SWEEP_DEFAULTS.batch}.`;
  if (batch !== undefined) checkWholeNumber(`${place}.batch`, batch, range, remedy);
  if (every !== undefined) parseDuration(`${place}.every`, every as string);
  if (pause !== undefined) parseDuration(`${place}.pause`, pause as string, { zero: true });
  if (time !== undefined) parseDuration(`${place}.time`, time as string);
}

/** The members of an option that is an object, if it has no others. */
function membersOf(
  option: string,
  given: unknown,
  names: readonly string[],
  accepted: string,
  without: string,
): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null)
    throw wrongOption(option, given, accepted, `Leave it out ${without}.`);
  const members = given as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(members).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw wrongOption(
      `${option}.${unknown}`,
      members[unknown],
      names.join(', '),
      'Remove the option, or correct its name.',
    );
  return members;
}

function checkWholeNumber(
  option: string,
  given: unknown,
  { least, most }: { readonly least: number; readonly most: number },
  remedy: string,
): void {
  if (Number.isSafeInteger(given) && Number(given) >= least && Number(given) <= most) return;
  const isOpen = most === Number.MAX_SAFE_INTEGER;
  const range = isOpen ? `of ${least} or more` : `from ${least} to ${most}`;
  throw wrongOption(option, given, `a whole number ${range}`, remedy);
}

/** @throws {@link IdempotencyConfigurationError} for anything but a store */
export function checkStore(store: unknown, accepted: string): void {
  if (!has(store, 'acquire'))
    throw wrongOption('store', store, accepted, 'Pass `new MemoryStore()` or another store.');
}

function has(given: unknown, method: string): boolean {
  if (typeof given !== 'object' || given === null) return false;
  return typeof (given as Readonly<Record<string, unknown>>)[method] === 'function';
}
