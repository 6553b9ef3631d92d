import { SHOPS } from './support/servers.js';
import { describeShops } from './support/shops.js';

describeShops(SHOPS);
