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
import { CIRCUIT_DEFAULTS } from './options/store-options.js';
import { remedyFor, remedyForScope } from './options/moved-options.js';
import { checkTokenOptions } from './tokens/token-options-check.js';

const KNOWN_OPTIONS = [
  ...Object.keys(MODULE_DEFAULTS),
  'store',
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
  if (typeof limits !== 'object' || limits === null || Object.keys(limits).length === 0)
    throw wrongOption(
      'limits',
      limits,
      `an object with ${names.join(', ')} or both`,
      'Leave the option out for callers without limits.',
    );
  for (const [name, given] of Object.entries(limits) as [string, unknown][]) {
    const most = (MOST as Readonly<Record<string, number>>)[name];
    if (most === undefined)
      throw wrongOption(
        `limits.${name}`,
        given,
        names.join(', '),
        'Remove the limit, or correct its name.',
      );
    if (!(Number.isInteger(given) && Number(given) >= 1 && Number(given) <= most))
      throw wrongOption(
        `limits.${name}`,
        given,
        `a whole number from 1 to ${most}`,
        'Leave it out for no limit.',
      );
  }
}

const LEAST_CACHE_BYTES = 1_024;

function checkReplayCache(given: unknown): void {
  const off = 'Leave the option out to ask the store for every retry.';
  if (typeof given !== 'object' || given === null)
    throw wrongOption('replayCache', given, 'an object with bytes and perhaps maxAge', off);
  const { bytes, maxAge, ...unknown } = given as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(unknown))
    throw wrongOption(
      `replayCache.${name}`,
      value,
      'bytes, maxAge',
      'Remove the option, or correct its name.',
    );
  if (!(Number.isSafeInteger(bytes) && Number(bytes) >= LEAST_CACHE_BYTES))
    throw wrongOption(
      'replayCache.bytes',
      bytes,
      `a whole number of bytes, ${LEAST_CACHE_BYTES} or more`,
      off,
    );
  if (maxAge !== undefined) parseDuration('replayCache.maxAge', maxAge as string);
}

const CIRCUIT_OPTIONS = Object.keys(CIRCUIT_DEFAULTS);
const MOST_FAILURES = 1_000;

function checkCircuit(given: unknown): void {
  if (given === false) return;
  if (typeof given !== 'object' || given === null)
    throw wrongOption(
      'circuitBreaker',
      given,
      `an object with ${CIRCUIT_OPTIONS.join(', ')} or both, or false`,
      'Leave the option out to use its defaults.',
    );
  const { failures, pause, ...unknown } = given as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(unknown))
    throw wrongOption(
      `circuitBreaker.${name}`,
      value,
      CIRCUIT_OPTIONS.join(', '),
      'Remove the option, or correct its name.',
    );
  if (
    failures !== undefined &&
    !(Number.isInteger(failures) && Number(failures) >= 1 && Number(failures) <= MOST_FAILURES)
  )
    throw wrongOption(
      'circuitBreaker.failures',
      failures,
      `a whole number from 1 to ${MOST_FAILURES}`,
      `Leave it out to use ${CIRCUIT_DEFAULTS.failures}.`,
    );
  if (pause !== undefined) parseDuration('circuitBreaker.pause', pause as string);
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
