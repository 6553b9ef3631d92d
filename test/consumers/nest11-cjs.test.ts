import { describeConsumer } from './consumer.js';

describeConsumer('nest11-cjs');
