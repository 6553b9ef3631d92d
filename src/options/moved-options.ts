/**
 * What the options of `@nestjs/idempotency` are called here, for whoever brings them along: as
 * sentences that say what to write instead.
 */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['lockTtl', 'Here it is called `lease`.'],
  [
    'maxLockHold',
    'Leave it out: `lease` is renewed for as long as the handler runs. Give work that may hang a time-out of its own.',
  ],
  [
    'keyFrom',
    "Here it is `key`: `key: header('X-Request-Id')`, `key: arg('input', 'requestId')`, `key: payload('meta', 'eventId')`, or `key: (call) => …`.",
  ],
  ['storeIf', "Here it is `onError: (error, status) => 'store'` or `'release'`."],
  [
    'replayHeaders',
    'Leave it out: every header that the handler, its interceptors and filters set is recorded and replayed.',
  ],
  ['allowInMemoryStorage', 'Here it is called `allowMemoryStore`.'],
]);

/**
 * What to write instead of an option that has another name here.
 *
 * @param otherwise the remedy for any other option
 */
export function remedyFor(option: string, otherwise: string): string {
  return REMEDIES.get(option) ?? otherwise;
}

/** What to write instead of a `scope` that says who is calling. */
export function remedyForScope(scope: unknown): string {
  if (scope === false)
    return "For keys that all callers share, give `principal: () => 'everybody'`.";
  if (typeof scope === 'function')
    return 'Who is calling belongs to `principal`: `principal: (call) => call.request.user?.id`.';
  if (typeof scope === 'object' && scope !== null)
    return 'Who is calling belongs to `principal`, one function for all kinds of calls: `principal: (call) => …`, where `call.type` tells them apart.';
  return 'Correct the scope, or leave it out to use the default.';
}
