import { describeEndpoints } from './support/endpoints.js';
import { openShopAnew } from './support/shop.js';

describeEndpoints('express', openShopAnew);
