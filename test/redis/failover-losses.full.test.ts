import { describeReplicas } from './failover-losses.js';

describeReplicas([0, 100, 500]);
