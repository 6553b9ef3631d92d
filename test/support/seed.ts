/**
 * Where random inputs begin: as `TEST_SEED=17` says, so that a run can be repeated; by the clock
 * otherwise.
 */
export const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000_000);
