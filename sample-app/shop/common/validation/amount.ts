import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsNumber, IsPositive, Max } from 'class-validator';

/** Accepts an amount of money: more than zero, at most a billion, at most two decimal places. */
export const IsAmount = (): PropertyDecorator =>
  applyDecorators(
    ApiProperty({ type: 'number', minimum: 0.01, maximum: 1_000_000_000, example: 40 }),
    IsNumber({ maxDecimalPlaces: 2 }),
    IsPositive(),
    Max(1_000_000_000),
  );
