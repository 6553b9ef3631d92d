import { wrongOption } from '../engine/configuration-error.js';
import { parseDuration } from '../engine/duration.js';
import { MIN_SECRET_BYTES, TOKEN_DEFAULTS, type TokenOptions } from '../options/token-options.js';

const KNOWN_OPTIONS = ['mode', 'secrets', 'ttl', 'purposes'];

/** @throws {@link IdempotencyConfigurationError} for the first invalid option of the tokens */
export function checkTokenOptions(tokens: TokenOptions): void {
  if (!isObject(tokens))
    throw wrongOption(
      'tokens',
      tokens,
      'an object of options',
      'Leave it out to use the defaults.',
    );
  for (const [option, value] of Object.entries(tokens))
    if (!KNOWN_OPTIONS.includes(option))
      throw wrongOption(
        `tokens.${option}`,
        value,
        KNOWN_OPTIONS.join(', '),
        'Remove the option, or correct its name. Path and guards belong to `tokenController`, beside `isGlobal`.',
      );
  const { mode = TOKEN_DEFAULTS.mode, ttl = TOKEN_DEFAULTS.ttl, purposes = [] } = tokens;
  if (mode !== 'stored' && mode !== 'signed')
    throw wrongOption('tokens.mode', mode, "'stored' or 'signed'", "Leave it out to use 'stored'.");
  checkSecrets(mode, tokens.secrets);
  parseDuration('tokens.ttl', ttl);
  if (!Array.isArray(purposes) || !purposes.every(isPurpose))
    throw wrongOption(
      'tokens.purposes',
      purposes,
      'a list of strings that are not empty',
      "List what clients may ask for, such as ['order'].",
    );
}

export function isPurpose(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function checkSecrets(mode: 'stored' | 'signed', secrets: unknown): void {
  if (mode === 'stored') {
    if (secrets === undefined) return;
    throw wrongOption(
      'tokens.secrets',
      secrets,
      "nothing, because mode 'stored' signs nothing",
      "Add mode: 'signed', or remove the secrets.",
    );
  }
  const remedy = 'Make one with `openssl rand -base64 32`, and keep it with your other secrets.';
  const accepted = `a list of at least one secret, each of ${MIN_SECRET_BYTES} bytes or more`;
  if (!Array.isArray(secrets) || secrets.length === 0)
    throw wrongOption('tokens.secrets', secrets, accepted, remedy);
  for (const secret of secrets as unknown[]) {
    const bytes = bytesOf(secret);
    if (bytes === undefined) throw wrongOption('tokens.secrets', secret, accepted, remedy);
    // The message does not show the secret.
    if (bytes < MIN_SECRET_BYTES)
      throw wrongOption('tokens.secrets', `a secret of ${bytes} bytes`, accepted, remedy);
  }
}

function bytesOf(secret: unknown): number | undefined {
  if (typeof secret === 'string') return Buffer.byteLength(secret);
  return secret instanceof Uint8Array ? secret.byteLength : undefined;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
