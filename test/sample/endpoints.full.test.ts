import { describeEndpoints } from './support/endpoints.js';
import { openShop } from './support/shop.js';

describeEndpoints('fastify', openShop);
