// Preloaded into the shop (`node --import`): its embedded database begins as a copy of a prepared one.
import { PGlite } from '@electric-sql/pglite';
import { openAsBlob } from 'node:fs';

const create = PGlite.create.bind(PGlite);
PGlite.create = async () =>
  create({ loadDataDir: await openAsBlob(process.env.PREPARED_DATABASE) });
