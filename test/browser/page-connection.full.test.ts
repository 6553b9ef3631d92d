import { describeReconnection } from './support/reconnection.js';

describeReconnection('express');
describeReconnection('fastify');
