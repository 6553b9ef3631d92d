import { describeEndpoints } from './support/endpoints.js';
import { openShop, openShopAnew } from './support/shop.js';

describeEndpoints('express', openShopAnew);
describeEndpoints('fastify', openShop);
