import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsString, Length } from 'class-validator';

/** Accepts a text that is not empty. */
export const IsText = (maxLength: number): PropertyDecorator =>
  applyDecorators(
    ApiProperty({ type: 'string', minLength: 1, maxLength }),
    IsString(),
    Length(1, maxLength),
  );
