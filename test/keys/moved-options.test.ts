import { readFileSync } from 'node:fs';
import { checkModuleOptions } from '../../src/idempotency.options-check.js';
import { checkOptions } from '../../src/handlers/options-check.js';
import { resolveFingerprint } from '../../src/keys/fingerprint.js';

/** What `@nestjs/idempotency` takes from a handler, and what says the same here. */
const OF_HANDLERS: readonly (readonly [string, unknown, RegExp])[] = [
  ['lockTtl', '60s', /`lease`/],
  ['maxLockHold', '1h', /`lease` is renewed/],
  ['keyFrom', { header: 'X-Request-Id' }, /`key: header\('X-Request-Id'\)`/],
  ['storeIf', () => true, /`onError: \(error, status\) => 'store'`/],
  ['scope', () => 'user-1', /`principal: \(call\) => call\.request\.user\?\.id`/],
  ['scope', { http: () => 'user-1' }, /with one function/],
  ['scope', false, /`principal: \(\) => 'everybody'`/],
];

/** What its module takes beside. */
const OF_MODULE: readonly (readonly [string, unknown, RegExp])[] = [
  ...OF_HANDLERS,
  ['replayHeaders', ['x-request-id'], /every header/],
  ['allowInMemoryStorage', true, /`allowMemoryStore`/],
  ['ttl', '1h', /`defaults: \{ ttl: … \}`/],
  ['required', true, /`defaults: \{ required: … \}`/],
  ['retryAfter', '1s', /`defaults: \{ retryAfter: … \}`/],
  ['fingerprint', () => 1, /`defaults: \{ fingerprint: … \}`/],
];

describe('an option that is called otherwise elsewhere', () => {
  it.each(OF_HANDLERS)('is refused on a handler with its name here: %s', (name, value, remedy) => {
    expect(() => checkOptions({ [name]: value })).toThrow(remedy);
  });

  it.each(OF_MODULE)('is refused by the module with its name here: %s', (name, value, remedy) => {
    expect(() => checkModuleOptions({ [name]: value })).toThrow(remedy);
  });

  it('is refused where a function would be called with something else', () => {
    const declared = ((payload: unknown, context: unknown) => [payload, context]) as () => unknown;
    expect(() => resolveFingerprint(declared)).toThrow(/`\(call\) => …`/);
  });

  it('has a row on the page about moving', () => {
    const page = readFileSync('docs/moving.md', 'utf8');
    for (const [name] of OF_MODULE) expect(page).toMatch(new RegExp(`^\\| [^|]*\`${name}\\b`, 'm'));
  });
});
