import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsInt, Max, Min } from 'class-validator';

/** The largest `integer` in SQL. */
const MAX_INTEGER = 2_147_483_647;

/** Accepts a whole number from 1 up to the limit of SQL. */
export const IsPositiveInteger = (): PropertyDecorator =>
  applyDecorators(
    ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_INTEGER, example: 1 }),
    IsInt(),
    Min(1),
    Max(MAX_INTEGER),
  );
