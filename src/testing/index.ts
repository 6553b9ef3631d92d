export {
  type ContractCase,
  GUARANTEES,
  type Guarantee,
  type StoreHarness,
} from './contract/contract-case.js';
export {
  LOCK_GUARANTEES,
  type LockCase,
  type LockGuarantee,
  type LockHarness,
  type MortalLocks,
} from './contract/lock-case.js';
export { lockContract } from './contract/lock-contract.js';
export { storeContract } from './contract/store-contract.js';
export {
  TRANSACTION_GUARANTEES,
  type TransactionCase,
  type TransactionGuarantee,
  type TransactionHarness,
} from './contract/transaction-case.js';
export { transactionContract } from './contract/transaction-contract.js';
export { FaultInjectingStore, type StoreCall, type StoreVerb } from './fault-injecting.store.js';
export {
  answerLate,
  delayUntil,
  failAfter,
  failBefore,
  type Fault,
  Gate,
  hang,
  hangAfter,
  pass,
  throwBefore,
} from './faults.js';
export { ManualClock } from './manual-clock.js';
export { assertCovered, type Covered, unprotected } from './protection.js';
