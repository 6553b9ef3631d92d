import { describeClusterLosses, describeReplicas } from './failover-losses.js';

describeReplicas([100]);
describeClusterLosses();
