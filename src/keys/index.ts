export type { BodyPath, DottedBodyPath } from './key-source.js';
export type { Identifier, IdempotentCall, IncomingRequest } from './call.js';
export { canonicalJson, NotComparableError } from './canonical-json.js';
export { directKey, type DirectKey } from './key-part.js';
export {
  type FingerprintDeclaration,
  type FingerprintFunction,
  requestFingerprint,
} from './fingerprint.js';
export { FingerprintUnavailableError, isFingerprintUnavailableError } from './request-body.js';
export { MAX_KEY_LENGTH } from './key-part.js';
export {
  InvalidKeyError,
  isInvalidKeyError,
  type KeyContext,
  type KeyDeclaration,
  type KeyFunction,
  type KeyPlace,
  type KeySource,
  type Schedule,
} from './key-source.js';
export {
  arg,
  body,
  header,
  keySource,
  messageId,
  param,
  payload,
  principal,
  query,
} from './key-sources.js';
export type { PrincipalFunction } from './principal.js';
export { signature, type SignatureOptions } from './signature.js';
export { tick } from './tick.js';
export { ifMatch, IfMatchSource } from './if-match.js';
