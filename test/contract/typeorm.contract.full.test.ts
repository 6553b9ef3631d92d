import { storeContract } from 'nestjs-idempotency/testing';
import { PGLITE } from '../support/sql-databases.js';
import { describeTypeOrmContract } from './support/typeorm-contract.js';

describeTypeOrmContract(PGLITE, storeContract);
