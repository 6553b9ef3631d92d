import { registerDecorator } from 'class-validator';

/** The most rows of an import. */
export const MOST_ROWS = 10_000;

/** What to import: the rows themselves, or their number. */
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
