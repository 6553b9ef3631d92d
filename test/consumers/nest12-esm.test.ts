import { describeConsumer } from './consumer.js';

describeConsumer('nest12-esm', 'linked');
