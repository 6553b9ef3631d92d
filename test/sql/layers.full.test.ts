import { TRAVELLING } from '../contract/support/it-keeps.js';
import { describeEscapes } from './support/escapes.js';
import { describeLayer, describeTransactions } from './support/layer.js';
import { LAYERS } from './support/layers.js';
import { describeEndings, describeOperations } from './support/operations.js';

for (const layer of LAYERS) {
  describeLayer(layer, TRAVELLING);
  describeTransactions(layer);
  describeOperations(layer);
  describeEndings(layer);
  describeEscapes(layer);
}
