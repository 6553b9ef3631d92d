import { MYSQL2 } from './support/drivers.js';
import { LAYERS } from './support/layers.js';
import { PRISMA_MARIADB, PRISMA_PG } from './support/prisma.js';
import { describeRows } from './support/rows.js';

for (const layer of [MYSQL2, ...LAYERS, PRISMA_PG, PRISMA_MARIADB]) describeRows(layer);
