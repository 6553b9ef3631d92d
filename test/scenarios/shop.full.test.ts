import { OTHER_SHOPS } from './support/servers.js';
import { describeShops } from './support/shops.js';

describeShops(OTHER_SHOPS);
