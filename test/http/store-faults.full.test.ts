import { PLATFORMS } from '../support/http.js';
import { describeStoreFaults } from './store-faults.js';

describeStoreFaults(PLATFORMS);
