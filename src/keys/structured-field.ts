import { checkedPart } from './key-part.js';
import { InvalidKeyError } from './key-source.js';

/** `sf-string`: printable ASCII, with `\"` and `\\` as the only escapes. */
const STRING = /"((?:[ !#-[\]-~]|\\["\\])*)"/y;

/** What may follow an item: `;name` or `;name=value`, the value being any bare item. */
const PARAMETER = new RegExp(
  '; *[a-z*][a-z0-9_.*-]*' +
    '(?:=(?:' +
    [
      '-?(?:[0-9]{1,12}\\.[0-9]{1,3}|[0-9]{1,15})', // decimal or integer
      '"(?:[ !#-[\\]-~]|\\\\["\\\\])*"', // string
      "[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*", // token
      ':[A-Za-z0-9+/]*={0,2}:', // byte sequence
      '\\?[01]', // boolean
      '@-?[0-9]{1,15}', // date
      '%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"', // display string
    ].join('|') +
    '))?',
  'y',
);

/** The bare form has no spaces: a comma and a space is how Node joins repeated lines. */
const BARE = /^[!-~]+$/;

/**
 * The key in a header value: the content of a structured-field string (`"abc"`, RFC 9651,
 * section 4.2) or the bare form (`abc`), which is the same key. The bare form is the whole
 * value: visible ASCII without spaces. Parameters after the string are checked and ignored.
 *
 * @param source named in the error
 * @throws {@link InvalidKeyError} when the value is anything else; it is never used in part
 */
export function parseKeyHeader(value: string, source: string): string {
  const trimmed = withoutOuterBlanks(value);
  if (!trimmed.startsWith('"')) {
    checkedPart(trimmed, source);
    if (!BARE.test(trimmed)) throw malformed(source);
    return trimmed;
  }
  STRING.lastIndex = 0;
  const content = STRING.exec(trimmed)?.[1];
  if (content === undefined || !areParameters(trimmed, STRING.lastIndex)) throw malformed(source);
  return checkedPart(
    content.includes('\\') ? content.replaceAll(/\\(["\\])/g, '$1') : content,
    source,
  );
}

/** `String.trim` would also take a no-break space, which is not ASCII and must be refused. */
function withoutOuterBlanks(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function areParameters(text: string, start: number): boolean {
  for (let at = start; at < text.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const parameter = PARAMETER.exec(text);
    if (parameter === null || !isUtf8(parameter[1])) return false;
  }
  return true;
}

/** A display string is percent-encoded UTF-8, and malformed when it does not decode. */
function isUtf8(displayString: string | undefined): boolean {
  if (displayString === undefined) return true;
  try {
    decodeURIComponent(displayString);
    return true;
  } catch {
    return false;
  }
}

function malformed(source: string): InvalidKeyError {
  return new InvalidKeyError(
    `The idempotency key from ${source} is neither a structured-field string nor visible ASCII.`,
  );
}
