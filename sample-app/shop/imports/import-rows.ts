import { registerDecorator } from 'class-validator';

/** Longest import. */
export const MOST_ROWS = 10_000;

/** What is to be imported: the rows themselves, or how many there are to be. */
export type ImportRows = number | readonly unknown[];

export function IsImportRows(): PropertyDecorator {
  return (target, property) =>
    registerDecorator({
      name: 'isImportRows',
      target: target.constructor,
      propertyName: String(property),
      validator: {
        validate: (value: unknown) => isCount(Array.isArray(value) ? value.length : value),
        defaultMessage: () => `$property must be 1 to ${MOST_ROWS} rows, or their number`,
      },
    });
}

/** One text for each row. */
export function textsOf(rows: ImportRows): string[] {
  return typeof rows === 'number'
    ? Array.from({ length: rows }, (_, index) => `row ${index + 1}`)
    : rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row)));
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= MOST_ROWS;
}
