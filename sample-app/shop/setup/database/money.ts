import type { ColumnOptions } from 'typeorm';

/** Money: exact to two places in SQL, where drivers hand it over as text. */
export const MONEY = {
  type: 'numeric',
  precision: 12,
  scale: 2,
  transformer: { to: (amount: number) => amount, from: Number },
} as const satisfies ColumnOptions;
