import { describeConsumer } from './consumer.js';

describeConsumer('nest11-cjs', 'installed');
describeConsumer('nest12-esm', 'installed');
