import { PLATFORMS } from '../support/http.js';
import { collectRefusals, faultsOf, FILTERS } from '../versions/refused.app.js';

describe.each(PLATFORMS)('refusals on %s', (platform) => {
  it.each(FILTERS)(
    'carry their code and leave as problem details, with the filter: %s',
    async (filter) => {
      const isDocumented = filter === 'none' || filter === 'reshaping';

      const refusals = await collectRefusals(platform, filter, isDocumented);

      expect(faultsOf(refusals, filter, isDocumented)).toEqual([]);
    },
  );
});
