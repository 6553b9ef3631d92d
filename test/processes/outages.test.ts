import { describeOutages, KINDS } from './outages.js';

describeOutages(KINDS.filter(({ server }) => server.name !== 'MariaDB'));
