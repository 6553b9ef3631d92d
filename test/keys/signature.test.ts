import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import type { DottedBodyPath } from '../../src/keys/key-source.js';
import type { IncomingRequest } from '../../src/keys/call.js';
import { FingerprintUnavailableError } from '../../src/keys/fingerprint.js';
import { signature, type SignatureOptions } from '../../src/keys/signature.js';
import { callOf } from './call.js';

class CommentDto {
  text!: string;
  sentAt!: Date;
  author?: { name: string; device: { id: string } };
  links!: { url: string; clicks: number }[];
}

type Accepts<Path> = Path extends DottedBodyPath<CommentDto> ? true : false;

function key(request: Partial<IncomingRequest>, options?: SignatureOptions, principal?: string) {
  return signature(options).read(callOf(request, { principal }));
}

/** The key of a body. */
function keyOf(body: unknown, options?: SignatureOptions): unknown {
  return key({ body }, options);
}

describe('signature()', () => {
  it('is a digest that is there at once and tells nothing', () => {
    expect(keyOf({ text: 'a' })).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is the same whatever the order of members and query parameters', () => {
    expect(key({ body: { a: 1, b: 2 }, query: { a: '1', b: '2' } })).toBe(
      key({ body: { b: 2, a: 1 }, query: { b: '2', a: '1' } }),
    );
  });

  const outsideOfTheBody: [string, Partial<IncomingRequest>, Partial<IncomingRequest>][] = [
    ['query', { query: { a: '1' } }, { query: { a: '2' } }],
    ['parameters', { params: { a: '1' } }, { params: { a: '2' } }],
    ['anonymous caller', { headers: { cookie: 'a' } }, { headers: { cookie: 'b' } }],
  ];

  it.each([
    ...outsideOfTheBody,
    ['body', { body: { a: 1 } }, { body: { a: 2 } }],
    ['bytes', { body: Buffer.from('a') }, { body: Buffer.from('b') }],
  ])('is another one for another %s', (_, one, other) => {
    expect(key(one)).not.toBe(key(other));
  });

  it.each(outsideOfTheBody)(
    'is another one for another %s, whatever is chosen',
    (_, one, other) => {
      for (const options of [{ include: ['x'] }, { exclude: ['x'] }]) {
        expect(key(one, options)).not.toBe(key(other, options));
      }
    },
  );

  it('leaves the credential out when the principal is known, whose namespace it is in', () => {
    const of = (cookie: string) => key({ headers: { cookie } }, undefined, 'alice');
    expect(of('a')).toBe(of('b'));
  });

  it('is refused when the body has not been read', () => {
    const headers = { 'content-type': 'text/xml', 'content-length': '5' };
    expect(() => key({ headers })).toThrow(FingerprintUnavailableError);
    expect(() => key({ headers }, { include: ['a'] })).toThrow(FingerprintUnavailableError);
  });
});

describe('signature() with include', () => {
  const include = ['text', 'author.name'];
  const sent = { text: 'a', author: { name: 'b', device: 'c' }, sentAt: 1 };

  it('counts the named members only', () => {
    const name = keyOf(sent, { include });
    expect(keyOf({ author: { device: 'x', name: 'b' }, sentAt: 2, text: 'a' }, { include })).toBe(
      name,
    );
    expect(keyOf({ ...sent, text: 'x' }, { include })).not.toBe(name);
    expect(keyOf({ ...sent, author: { name: 'x' } }, { include })).not.toBe(name);
    expect(keyOf({ text: 'a' }, { include })).not.toBe(name);
  });

  it('counts all of a member, also when one inside of it is named', () => {
    for (const paths of [
      ['author', 'author.name'],
      ['author.name', 'author'],
    ]) {
      expect(keyOf({ author: { name: 'b', x: 1 } }, { include: paths })).not.toBe(
        keyOf({ author: { name: 'b', x: 2 } }, { include: paths }),
      );
    }
  });

  it('counts a member of each element of a list', () => {
    const of = (...urls: string[]) =>
      keyOf(
        { links: urls.map((url, i) => ({ url, clicks: i * Math.random() })) },
        { include: ['links.url'] },
      );
    expect(of('a', 'b')).toBe(of('a', 'b'));
    expect(of('a', 'b')).not.toBe(of('b', 'a'));
    expect(of('a')).not.toBe(of('a', 'a'));
  });

  it('finds own members only', () => {
    const of = (body: string) =>
      keyOf(JSON.parse(body), { include: ['__proto__', 'constructor.name'] });
    expect(of('{"__proto__":1}')).not.toBe(of('{"__proto__":2}'));
    expect(of('{}')).toBe(keyOf({}));
  });

  it.each(['text', Buffer.from('a'), 7, null, ['a'], [['a']]])(
    'counts all of a body without members: %p',
    (body) => {
      expect(keyOf(body, { include })).toBe(keyOf(body));
    },
  );
});

describe('signature() with exclude', () => {
  const exclude = ['sentAt', 'author.device'];
  const sent = { text: 'a', author: { name: 'b', device: 'c' }, sentAt: 1 };

  it('counts everything but the named members', () => {
    const name = keyOf(sent, { exclude });
    expect(keyOf({ sentAt: 2, author: { device: 'x', name: 'b' }, text: 'a' }, { exclude })).toBe(
      name,
    );
    expect(keyOf({ text: 'a', author: { name: 'b' } }, { exclude })).toBe(name);
    expect(keyOf({ ...sent, text: 'x' }, { exclude })).not.toBe(name);
    expect(keyOf({ ...sent, more: 1 }, { exclude })).not.toBe(name);
  });

  it('leaves a member of each element of a list out', () => {
    const of = (...links: object[]) => keyOf({ links }, { exclude: ['links.clicks'] });
    expect(of({ url: 'a', clicks: 1 }, { url: 'b' })).toBe(
      of({ url: 'a' }, { url: 'b', clicks: 2 }),
    );
    expect(of({ url: 'a' })).not.toBe(of({ url: 'b' }));
  });

  it('leaves a member of each element out when the body is a list', () => {
    const of = (...body: object[]) => keyOf(body, { exclude: ['at'] });
    expect(of({ a: 1, at: 1 })).toBe(of({ a: 1, at: 2 }));
    expect(of({ a: 1 })).not.toBe(of({ a: 2 }));
  });

  it('takes out of what is included', () => {
    const options = { include: ['author'], exclude: ['author.device'] };
    expect(keyOf(sent, options)).toBe(keyOf({ author: { name: 'b', device: 'x' } }, options));
    expect(keyOf(sent, options)).not.toBe(keyOf({ author: { name: 'x' } }, options));
  });

  it('keeps __proto__ as a member', () => {
    const of = (body: string) => keyOf(JSON.parse(body), { exclude });
    expect(of('{"__proto__":{"a":1}}')).not.toBe(of('{"__proto__":{"a":2}}'));
    expect(of('{"__proto__":{"sentAt":1}}')).not.toBe(of('{"__proto__":{"sentAt":2}}'));
  });

  it('takes lists of 100 000 levels on the way', () => {
    const links: unknown = JSON.parse('['.repeat(1e5) + ']'.repeat(1e5));
    for (const options of [{ include: ['links.url'] }, { exclude: ['links.url'] }]) {
      expect(keyOf({ links }, options)).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  it('does not change the body', () => {
    const body = { sentAt: 1, links: [{ clicks: 1 }] };
    keyOf(body, { exclude: ['sentAt', 'links.clicks'] });
    expect(body).toEqual({ sentAt: 1, links: [{ clicks: 1 }] });
  });
});

describe('the options of signature()', () => {
  it('accept only what the type has', () => {
    const typed = signature<CommentDto>({
      include: ['text', 'author.device'],
      exclude: ['links.clicks'],
    });
    const accepted: Accepts<'author.device.id' | 'sentAt' | 'links.url' | 'links'> = true;
    const refused: [Accepts<'txt'>, Accepts<'author.age'>, Accepts<'text.length'>, Accepts<''>] = [
      false,
      false,
      false,
      false,
    ];
    expect([typed.coversContent, accepted, ...refused]).toHaveLength(6);
  });

  it.each([
    ['a name that is no option', { exlude: ['a'] }, 'signature.exlude'],
    ['an empty list', { include: [] }, 'signature.include'],
    ['a name alone', { exclude: 'a' }, 'signature.exclude'],
    ['an empty path', { include: [''] }, 'signature.include'],
    ['an empty name in a path', { include: ['a..b'] }, 'signature.include'],
    ['a dot at the end', { exclude: ['a.'] }, 'signature.exclude'],
    ['a number', { exclude: [1] }, 'signature.exclude'],
    ['the same path in both', { include: ['a'], exclude: ['a'] }, 'signature.include'],
    [
      'an included path in an excluded one',
      { include: ['a.b'], exclude: ['a'] },
      'signature.include',
    ],
  ])('are refused at boot with %s', (_, options, option) => {
    const declaring = () => signature(options as SignatureOptions);
    expect(declaring).toThrow(IdempotencyConfigurationError);
    expect(declaring).toThrow(`Idempotency option "key: ${option}" is `);
  });
});
