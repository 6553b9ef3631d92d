import { storeContract } from 'nestjs-idempotency/testing';
import { MARIADB, PGLITE, POSTGRES, SQLITE } from '../support/sql-databases.js';
import { TRAVELLING } from './support/it-keeps.js';
import { describeTypeOrmContract } from './support/typeorm-contract.js';

for (const kind of [POSTGRES, MARIADB, SQLITE]) describeTypeOrmContract(kind, storeContract);
// PostgreSQL's statements once more, answered by another program.
describeTypeOrmContract(PGLITE, TRAVELLING);
