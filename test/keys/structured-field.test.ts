import fc from '../support/properties.js';
import { InvalidKeyError } from '../../src/keys/key-source.js';
import { parseKeyHeader } from '../../src/keys/header-source.js';

const UUID = '8e03978e-40d5-43dd-bc93-6894a57f9324';

function parse(value: string): string {
  return parseKeyHeader(value, 'header Idempotency-Key');
}

/** The key, or that there is none; any other failure is a failure. */
function outcome(value: string): string {
  try {
    return `key ${parse(value)}`;
  } catch (error) {
    if (error instanceof InvalidKeyError) return 'refused';
    throw error;
  }
}

describe('the value of the key header', () => {
  it.each([
    ['a structured-field string', `"${UUID}"`, UUID],
    ['the bare form', UUID, UUID],
    ['blanks around a string', `  "${UUID}"\t `, UUID],
    ['blanks around the bare form', ` \t${UUID} `, UUID],
    ['blanks inside of a string', '" a b "', ' a b '],
    ['an escaped quote', '"a\\"b"', 'a"b'],
    ['an escaped backslash', '"a\\\\b"', 'a\\b'],
    ['an escaped backslash before the end', '"a\\\\"', 'a\\'],
    ['a comma in a string', '"a, b"', 'a, b'],
    ['other punctuation in the bare form', 'a;b=c,d:e/f\\g"h', 'a;b=c,d:e/f\\g"h'],
    ['blanks inside of the bare form', ' order  7 of May ', 'order  7 of May'],
    ['a comma and a blank in the bare form', 'a, b', 'a, b'],
    ['case as it is', '"Key"', 'Key'],
    ['255 characters', 'k'.repeat(255), 'k'.repeat(255)],
    ['255 escaped characters', `"${'\\"'.repeat(255)}"`, '"'.repeat(255)],
  ])('accepts %s', (_, value, key) => {
    expect(parse(value)).toBe(key);
  });

  it.each([
    ['a flag', '"k";a'],
    ['an integer', '"k";a=1'],
    ['a negative integer', '"k";a=-15'],
    ['a decimal', '"k";a=1.5'],
    ['a string', '"k";a="x;\\"y"'],
    ['a token', '"k";a=*tok/en:1'],
    ['bytes', '"k";a=:aGk=:'],
    ['a boolean', '"k";a=?0'],
    ['a date', '"k";a=@1659578233'],
    ['a display string', '"k";a=%"f%c3%bc"'],
    ['several with blanks', '"k"; a=1;  *b-c.d_e;f=?1'],
  ])('ignores a parameter that is %s', (_, value) => {
    expect(parse(value)).toBe('k');
  });

  it.each([
    ['nothing', ''],
    ['blanks', ' \t '],
    ['an empty string', '""'],
    ['an unfinished string', '"abc'],
    ['a lone quote', '"'],
    ['text after the string', '"abc"def'],
    ['text after a blank', '"abc" def'],
    ['a second string', '"abc", "def"'],
    ['a string without a comma', '"abc""def"'],
    ['a wrong escape', '"a\\bc"'],
    ['an escape at the end', '"abc\\"'],
    ['a control character in a string', '"a\u0000b"'],
    ['a tab in a string', '"a\tb"'],
    ['DEL in a string', '"a\u007fb"'],
    ['obs-text in a string', '"a\u00fcb"'],
    ['an empty parameter', '"k";'],
    ['a parameter in capitals', '"k";A=1'],
    ['a parameter without a value', '"k";a='],
    ['a blank before a parameter', '"k" ;a'],
    ['a blank before a value', '"k";a= 1'],
    ['a date that is no integer', '"k";a=@1.5'],
    ['a boolean out of range', '"k";a=?2'],
    ['an integer of 16 digits', '"k";a=1234567890123456'],
    ['a decimal of four places', '"k";a=1.2345'],
    ['bytes that are not base64', '"k";a=:a b:'],
    ['a display string that is not UTF-8', '"k";a=%"%c3"'],
    ['a display string in capitals', '"k";a=%"%C3%BC"'],
    ['a tab in the bare form', 'abc\tdef'],
    ['a control character', 'a\u0000b'],
    ['C1', 'a\u0085b'],
    ['obs-text', 'a\u00fcb'],
    ['obs-text that looks blank', '\u00a0abc'],
    ['256 characters', 'k'.repeat(256)],
    ['256 characters in quotes', `"${'k'.repeat(256)}"`],
  ])('refuses %s as a whole', (_, value) => {
    expect(() => parse(value)).toThrow(InvalidKeyError);
  });

  it('reads back every key that a client can write as a string', () => {
    const key = fc.string({ unit: fc.constantFrom(...printable()), minLength: 1, maxLength: 255 });
    fc.assert(
      fc.property(key, (text) => {
        expect(parse(`"${text.replaceAll(/["\\]/g, '\\$&')}"`)).toBe(text);
      }),
    );
  });

  it('either reads or refuses whatever is sent', () => {
    const hostile = fc.string({
      unit: fc.constantFrom(...Array.from('"\\;=,:?@%* aA1.-\u0000\u00fc')),
    });
    fc.assert(
      fc.property(hostile, (text) => {
        expect(outcome(text)).toMatch(/^(?:refused|key [ -~]{1,255})$/);
      }),
    );
  });

  it('never shows the key', () => {
    expect(() => parse('"secret-key')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });

  it.each([
    ['escapes', `"${'\\"'.repeat(500_000)}`],
    ['parameters', `"k"${';a="x"'.repeat(200_000)};`],
    ['blanks', `"k"; ${' '.repeat(1_000_000)}`],
    ['inner blanks', `a${' '.repeat(1_000_000)}b`],
    ['digits', `"k";a=${'1'.repeat(1_000_000)}`],
  ])('refuses a megabyte of %s in linear time', (_, value) => {
    const startedAt = performance.now();
    expect(() => parse(value)).toThrow(InvalidKeyError);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

function printable(): string[] {
  return Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i));
}
