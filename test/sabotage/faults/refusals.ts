import type { Fault } from '../fault.js';

const onExpress = (file: string, name: string): [string, string] => [
  `test/http/${file}.test.ts`,
  `express ${name}`,
];
const ANSWERS = 'test/client/answers.test.ts';
const CLIENT_REFUSAL = 'src/client/refusal.ts';

/** How a refusal leaves, and what the client makes of it. */
export const REFUSAL_FAULTS: readonly Fault[] = [
  {
    name: 'http: a refusal leaves as whatever an adapter makes of an object',
    breaks: ['T68', 'design 7.5'],
    file: 'src/transports/http/refusals.ts',
    find: 'if (exception === undefined || body !== exception.getResponse())',
    put: 'if (exception === undefined || body !== undefined)',
    tests: [onExpress('refusals', '.*none'), onExpress('refusals', '.*forwarding')],
  },
  {
    name: 'http: the code of a refusal is lost where a filter reshapes it',
    breaks: ['T68', 'design 7.5'],
    file: 'src/transports/http/headers.ts',
    find: 'const headers: [string, string][] = [[ERROR_HEADER, code]];',
    put: 'const headers: [string, string][] = [];',
    tests: [onExpress('refusals', '.*reshaping')],
  },
  {
    name: 'http: a refusal from within a handler does not know where problems are documented',
    breaks: ['design 7.5'],
    file: 'src/transports/http/refusals.ts',
    find: '  exception.documentAt(adapter[FORM]?.problemBaseUrl);\n',
    put: '',
    tests: [onExpress('refusals', '.*none')],
  },
  {
    name: 'values: a refusal that work has ended with comes back as some error',
    breaks: ['design 7.5'],
    file: 'src/operation/known-exceptions.ts',
    find: 'restoredRefusal(problem, status, retryAfterSeconds) ?? new nest.HttpException(problem, status)',
    put: 'new nest.HttpException(problem, status)',
    tests: [onExpress('refusals', '.*none')],
  },
  {
    name: 'client: the code of a refusal is read from one content type only',
    breaks: ['T69', 'design 7.5'],
    file: CLIENT_REFUSAL,
    find: 'const code = response.headers.get(ERROR_HEADER) ?? said?.code;',
    put: 'const code = said?.code;',
    tests: [
      [ANSWERS, 'by header'],
      [ANSWERS, 'in the header'],
    ],
  },
  {
    name: 'client: an unknown outcome gets a new key',
    breaks: ['T69', 'S14'],
    file: CLIENT_REFUSAL,
    find: '  if (NO_NEW_KEY.has(refusal?.code)) return false;\n',
    put: '',
    tests: [ANSWERS, onExpress('refusals', '.*none')],
  },
  {
    name: 'client: "still running" from a server that it does not know is the last word',
    breaks: ['T69', 'S14'],
    file: CLIENT_REFUSAL,
    find: "return PASSING.has(status) || (status === 409 && headers.has('Retry-After'));",
    put: 'return PASSING.has(status);',
    tests: [ANSWERS],
  },
  {
    name: 'client: what is on record is asked for again and again',
    breaks: ['design 7.5'],
    file: CLIENT_REFUSAL,
    find: '  if (headers.has(REPLAYED_HEADER)) return false;\n',
    put: '',
    tests: [ANSWERS],
  },
  {
    name: 'client: two calls of one intent at once are two',
    breaks: ['T69', 'S14'],
    file: 'src/client/shared-calls.ts',
    find: 'const known = this.running.get(id);',
    put: 'const known = this.running.get(`${id}, another`);',
    tests: [ANSWERS],
  },
  {
    name: 'client: two callers with one intent share a reply',
    breaks: ['T69'],
    file: 'src/client/sender.ts',
    find: '[name, content.digest, credentials, ...headers]',
    put: '[name, content.digest, credentials]',
    tests: [ANSWERS],
  },
  {
    name: 'client: a key that the caller has set is replaced',
    breaks: ['T69'],
    file: 'src/client/sender.ts',
    find: 'if (own !== null)',
    put: "if (own === '')",
    tests: [ANSWERS],
  },
  {
    name: 'client: a page without TLS cannot send',
    breaks: ['T69'],
    file: 'src/client/random.ts',
    find: "subtle ? await subtle.digest('SHA-256', content) : sha256(content)",
    put: "await subtle!.digest('SHA-256', content)",
    tests: [ANSWERS],
  },
  {
    name: 'a bare key with spaces inside is refused',
    breaks: ['T88', 'design 2'],
    file: 'src/keys/header-source.ts',
    find: 'const BARE = /^[ -~]+$/;',
    put: 'const BARE = /^[!-~]+$/;',
    tests: ['test/keys/structured-field.test.ts'],
  },
  {
    name: 'an option that is called otherwise elsewhere is only told to go',
    breaks: ['T88'],
    file: 'src/options/moved-options.ts',
    find: 'return REMEDIES.get(option) ?? otherwise;',
    put: 'return otherwise;',
    tests: ['test/keys/moved-options.test.ts'],
  },
];
