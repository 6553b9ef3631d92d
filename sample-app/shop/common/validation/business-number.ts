import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { ValidateBy } from 'class-validator';

/** An identifier of another system: text or a whole number, returned as it was sent. */
export type BusinessNumber = string | number;

/** Accepts a text of 1 to 64 characters, or a whole number. */
export const IsBusinessNumber = (): PropertyDecorator =>
  applyDecorators(
    ApiProperty({ oneOf: [{ type: 'string', minLength: 1, maxLength: 64 }, { type: 'integer' }] }),
    ValidateBy({
      name: 'isBusinessNumber',
      validator: {
        validate: (value: unknown) =>
          typeof value === 'string'
            ? value.length >= 1 && value.length <= 64
            : Number.isSafeInteger(value),
        defaultMessage: () => '$property must be a text of 1 to 64 characters or a whole number',
      },
    }),
  );
