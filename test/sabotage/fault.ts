import type { Guarantee } from '../../src/testing/contract/contract-case.js';

/** Strategies, stores and dialects: each has at least one fault. */
export const STRATEGIES = ['unique-key', 'token', 'version', 'state', 'lock', 'queue'] as const;
export const STORES = ['memory', 'redis', 'postgres', 'mysql', 'sqlite'] as const;

/**
 * What a fault breaks:
 * - `guarantee 2`: a numbered guarantee of the store contract, `GUARANTEES` of `testing`;
 * - `S12`: a situation, by the number that names of tests and the sample shop's page have;
 * - `T5`: a way in which libraries of this kind have gone wrong; the fault's name says which;
 * - a strategy, a store or a dialect by its name;
 * - `design 3.4`: any other promise.
 */
export type Promised =
  | `guarantee ${Guarantee}`
  | `S${number}${'' | 'a' | 'b'}`
  | `T${number}${'' | 'b'}`
  | `strategy ${(typeof STRATEGIES)[number]}`
  | `store ${(typeof STORES)[number]}`
  | `design ${number}`;

/** A test file, or only those of its tests whose full name matches a pattern. */
export type TestRun = string | readonly [file: string, name: string];

/** A small change that breaks a promise, and the tests that notice. */
export interface Fault {
  /** What goes wrong, in the present tense; unique. */
  readonly name: string;
  readonly breaks: readonly Promised[];
  readonly file: string;
  /** Text that the file has exactly once. */
  readonly find: string;
  readonly put: string;
  /** Run one after the other until one fails; the cheapest first. */
  readonly tests: readonly TestRun[];
}
