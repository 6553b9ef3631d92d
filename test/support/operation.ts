import type { Claim } from '../../src/engine/claim.js';
import { CurrentOperation, type OperationIdentity } from '../../src/operation/current-operation.js';
import { NotKeptWarnings } from '../../src/operation/not-kept-warnings.js';
import { KnownTypes } from '../../src/replies/known-types.js';

/** An operation as its handler sees it, without an application. */
export function operationOf(
  identity: OperationIdentity,
  claim: Claim | undefined,
): CurrentOperation {
  const form = { name: 'Shop.order', values: { types: new KnownTypes() } };
  return new CurrentOperation(identity, claim, form, new NotKeptWarnings());
}
