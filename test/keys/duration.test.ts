import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import { parseDuration } from '../../src/engine/duration.js';

describe('a duration', () => {
  it.each([
    [250, 250],
    ['250ms', 250],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['1.5h', 5_400_000],
    ['0.07s', 70],
    ['1.4ms', 1],
    ['36500d', 36_500 * 86_400_000],
  ])('%p is %p milliseconds', (value, ms) => {
    expect(parseDuration('ttl', value)).toBe(ms);
  });

  it.each([0, -0, '0s', '0ms', '0.0d'])('%p is zero where zero has a meaning', (value) => {
    expect(parseDuration('wait', value, { zero: true })).toBe(0);
    expect(() => parseDuration('ttl', value)).toThrow('more than 0');
  });

  it.each([
    -1,
    '-1s',
    -0.4,
    0.4,
    NaN,
    Infinity,
    '',
    ' ',
    '10',
    's',
    '10 s',
    ' 10s',
    '10s ',
    '10S',
    '10sec',
    '10w',
    '1e3s',
    '.5s',
    '1.s',
    '1,5h',
    'Infinitys',
    '0x10s',
    '10s\n',
    '36501d',
    Number.MAX_SAFE_INTEGER,
    null,
    undefined,
    true,
    10n,
    ['10s'],
    {},
  ])('%p is refused by the name of its option', (value) => {
    const parsing = () => parseDuration('defaults.lease', value as number);
    expect(parsing).toThrow(IdempotencyConfigurationError);
    expect(parsing).toThrow(/^Idempotency option "defaults\.lease" is .*\. Accepted: /);
  });

  it.each([-1, '-1s', -0.4, NaN, '10w'])('%p is refused also where zero has a meaning', (value) => {
    expect(() => parseDuration('wait', value, { zero: true })).toThrow('0 or more');
  });
});
