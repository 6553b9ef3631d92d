import { hash } from 'node:crypto';

/** SHA-256 in hexadecimal; text counts as UTF-8. Lone surrogates must have been escaped. */
export function sha256(content: string | ArrayBufferView): string {
  return hash('sha256', content as string | NodeJS.ArrayBufferView);
}
