import { describeLock, PLACES } from './lock.js';

// Both platforms; on Redis in the second tier.
describeLock(
  PLACES.filter(({ name }) => name === 'memory, express' || name.startsWith('PostgreSQL')),
);
