import type { IdempotentCall } from './call.js';
import { IF_MATCH_HEADER } from './header-source.js';
import { checkedPart } from './key-part.js';
import { InvalidKeyError, type KeySource } from './key-source.js';

const DESCRIPTION = 'header If-Match';
const EXPECTED_VERSION =
  'The version that the change is based on: an entity tag such as `"3"`, a list of them, or `*` for any.';
/** `entity-tag` of RFC 9110, section 8.8.3; a list may have empty elements (section 5.6.1). */
const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/y;
const LEADING_COMMAS = /^[\t ,]*/;
const BETWEEN_TAGS = /[\t ]*(?:,[\t ]*)+|$/y;

const BRAND = Symbol.for('nestjs-idempotency:if-match');

/** Represents tags that can never match. */
const WEAK = 'W/""';

/** What a caller expects: `'*'` for whatever the version is, or one of these. */
export type ExpectedTags = '*' | readonly string[];

/**
 * The version that the caller expects, from the `If-Match` header (RFC 9110, section 13.1.1): a
 * strong entity tag (`"3"`), a list of them, or `*` for any version. Weak tags match nothing.
 */
export class IfMatchSource implements KeySource {
  /** @internal */
  readonly [BRAND] = true;
  readonly description = DESCRIPTION;
  readonly readsOnlyHead = true;
  readonly coversContent = false;
  readonly sentIn = [
    { in: 'header', name: IF_MATCH_HEADER, description: EXPECTED_VERSION },
  ] as const satisfies KeySource['sentIn'];

  read(call: IdempotentCall): string | undefined {
    const expected = this.expected(call);
    if (expected === undefined || expected === '*') return expected;
    if (expected.length === 0) return WEAK;
    return checkedPart(expected.map((tag) => `"${tag}"`).join(','), DESCRIPTION);
  }

  /** @throws {@link InvalidKeyError} for an invalid header */
  expected({ request }: IdempotentCall): ExpectedTags | undefined {
    const given = request.headers['if-match'];
    if (given === undefined) return undefined;
    const text = (Array.isArray(given) ? given.join(', ') : given).trim();
    return text === '*' ? '*' : strongTags(text);
  }
}

/**
 * Also recognizes the sources of another copy of this package.
 *
 * @internal
 */
export function isIfMatch(source: KeySource): source is IfMatchSource {
  return BRAND in source;
}

/** The version that the caller expects, from the `If-Match` header. */
export function ifMatch(): IfMatchSource {
  return new IfMatchSource();
}

function strongTags(text: string): string[] {
  const tags: string[] = [];
  let count = 0;
  for (let at = LEADING_COMMAS.exec(text)![0].length; at < text.length; count++) {
    ENTITY_TAG.lastIndex = at;
    const tag = ENTITY_TAG.exec(text);
    if (tag === null) throw malformed();
    // Strong comparison: weak tags match nothing.
    if (tag[1] === undefined) tags.push(tag[2]!);
    BETWEEN_TAGS.lastIndex = ENTITY_TAG.lastIndex;
    if (BETWEEN_TAGS.exec(text) === null) throw malformed();
    at = BETWEEN_TAGS.lastIndex;
  }
  if (count === 0) throw malformed();
  return tags;
}

function malformed(): InvalidKeyError {
  return new InvalidKeyError(
    'If-Match must be a list of entity tags in double quotes, such as "3", or *.',
  );
}
