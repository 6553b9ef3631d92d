// Prints what is wrong under the version of Nest that it finds, as JSON.
import 'reflect-metadata';
import { PLATFORMS } from '../support/http.js';
import { faultsOfHybrid } from './hybrid.app.js';
import { collectRefusals, faultsOf, FILTERS } from './refused.app.js';

const faults: Record<string, readonly string[]> = {};
for (const platform of PLATFORMS)
  for (const filter of FILTERS) {
    const isDocumented = filter === 'none' || filter === 'reshaping';
    const refusals = await collectRefusals(platform, filter, isDocumented);
    faults[`${platform}, ${filter}`] = faultsOf(refusals, filter, isDocumented);
  }
faults['hybrid'] = await faultsOfHybrid();
console.log(JSON.stringify(faults));
