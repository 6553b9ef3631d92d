import 'reflect-metadata';
import { openStore, placeFrom, type ServerName } from '../../processes/support/open-store.js';
import type { Platform } from '../../support/http.js';
import { bootStreams } from '../streams-killed.app.js';
import type { StreamsReady } from '../streams-killed.js';

/** The process that is killed while it streams. */
const { SERVER, PLACE, PLATFORM, LEASE_MS } = process.env;
const business = await openStore(SERVER as ServerName, placeFrom(PLACE!));
const { port } = await bootStreams(PLATFORM as Platform, business, Number(LEASE_MS));
process.send?.({ port } satisfies StreamsReady);
