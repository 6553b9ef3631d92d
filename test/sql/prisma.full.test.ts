import { describeEscapes } from './support/escapes.js';
import { describeLayer, describeTransactions } from './support/layer.js';
import { describeEndings, describeOperations } from './support/operations.js';
import { PRISMA_MARIADB, PRISMA_PG } from './support/prisma.js';

for (const layer of [PRISMA_PG, PRISMA_MARIADB]) {
  describeLayer(layer);
  describeTransactions(layer);
  describeOperations(layer);
  describeEndings(layer);
  describeEscapes(layer);
}
