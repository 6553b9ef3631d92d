import { randomBytes } from 'node:crypto';

/** Random once per process; the counter makes owners unique within it at no cost per call. */
const processId = randomBytes(12).toString('base64url');
let claims = 0;

/** A name that no other claim, in any process, has had or will have. */
export function newOwner(): string {
  claims += 1;
  return `${processId}.${claims.toString(36)}`;
}
