import {
  impersonating,
  inserting,
  leaseless,
  ofAnyState,
  type NamedSabotage,
  verbsOf,
} from './sabotage.js';

export const SABOTAGES_OF_OWNERS: readonly NamedSabotage[] = [
  [
    'extend ignores the owner',
    2,
    (store) => ({ extend: impersonating(store, verbsOf(store).extend) }),
  ],
  [
    'complete ignores the owner',
    2,
    (store) => ({ complete: impersonating(store, verbsOf(store).complete) }),
  ],
  [
    'release ignores the owner',
    2,
    (store) => ({ release: impersonating(store, verbsOf(store).release) }),
  ],
  ['hold ignores the owner', 2, (store) => ({ hold: impersonating(store, verbsOf(store).hold) })],
  [
    'saveStep ignores the owner',
    2,
    (store) => ({ saveStep: impersonating(store, verbsOf(store).saveStep) }),
  ],
  ['extend ignores the lease', 2, (store) => ({ extend: leaseless(store, verbsOf(store).extend) })],
  [
    'complete ignores the lease',
    2,
    (store) => ({ complete: leaseless(store, verbsOf(store).complete) }),
  ],
  [
    'release ignores the lease',
    2,
    (store) => ({ release: leaseless(store, verbsOf(store).release) }),
  ],
  ['hold ignores the lease', 2, (store) => ({ hold: leaseless(store, verbsOf(store).hold) })],
  [
    'saveStep ignores the lease',
    2,
    (store) => ({ saveStep: leaseless(store, verbsOf(store).saveStep) }),
  ],
  [
    'a refused completion says that it was carried out',
    2,
    (store) => ({
      complete: (request) => {
        store.complete(request);
        return true;
      },
    }),
  ],
  [
    'extend looks at the owner only',
    2,
    (store) => ({ extend: ofAnyState(store, verbsOf(store).extend) }),
  ],
  [
    'extend writes a record where there is none',
    2,
    (store) => ({ extend: inserting(store, verbsOf(store).extend) }),
  ],
  [
    'complete looks at the owner only',
    2,
    (store) => ({ complete: ofAnyState(store, verbsOf(store).complete) }),
  ],
  [
    'complete writes a record where there is none',
    2,
    (store) => ({ complete: inserting(store, verbsOf(store).complete) }),
  ],
  [
    'release looks at the owner only',
    2,
    (store) => ({ release: ofAnyState(store, verbsOf(store).release) }),
  ],
  [
    'release writes a record where there is none',
    2,
    (store) => ({ release: inserting(store, verbsOf(store).release) }),
  ],
  [
    'hold looks at the owner only',
    2,
    (store) => ({ hold: ofAnyState(store, verbsOf(store).hold) }),
  ],
  [
    'hold writes a record where there is none',
    2,
    (store) => ({ hold: inserting(store, verbsOf(store).hold) }),
  ],
  [
    'saveStep looks at the owner only',
    2,
    (store) => ({ saveStep: ofAnyState(store, verbsOf(store).saveStep) }),
  ],
  [
    'saveStep writes a record where there is none',
    2,
    (store) => ({ saveStep: inserting(store, verbsOf(store).saveStep) }),
  ],
  [
    'a completion is carried out and called refused',
    2,
    (store) => ({
      complete: (request) => {
        store.complete(request);
        return false;
      },
    }),
  ],
];
