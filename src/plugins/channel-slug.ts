/**
 * A channel's name as it appears in addresses and file names: lower case, `[a-z0-9-]`, at most 48 characters.
 */

const SLUG_CHARACTERS_MAX = 48;

/** `Test card` becomes `test-card`. A name without a single Latin letter or digit falls back to `fallback`. */
export function slugOf(name: string, fallback: string): string {
  const plain = name.normalize('NFKD').toLowerCase();
  const slug = plain
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_CHARACTERS_MAX)
    .replace(/^-+|-+$/g, '');
  return slug === '' ? fallback : slug;
}
