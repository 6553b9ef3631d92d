import { describeLock, PLACES } from './lock.js';

describeLock(PLACES);
