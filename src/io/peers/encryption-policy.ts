/**
 * Whether connections of torrents are encrypted: what is dialled, in which order, and what is accepted.
 *
 * | policy    | dials                                  | accepts       | the stream after the negotiation |
 * |-----------|----------------------------------------|---------------|----------------------------------|
 * | `off`     | plain                                  | plain         | –                                |
 * | `allow`   | plain; encrypted when that was refused | both          | plain, RC4 for who wants it      |
 * | `prefer`  | encrypted; plain when that was refused | both          | plain, RC4 for who wants it      |
 * | `require` | encrypted                              | encrypted     | RC4                              |
 *
 * RC4 in this process takes most of a core at 100 MB/s, and hides no more than the negotiation does from whoever knows the info hash;
 * so it is used only where asked for.
 */
import { PLAIN_METHOD, RC4_METHOD, type StreamMethod } from './stream-encryption.js';

export const ENCRYPTION_POLICIES = ['off', 'allow', 'prefer', 'require'] as const;
export type EncryptionPolicy = (typeof ENCRYPTION_POLICIES)[number];

/** How a connection is begun. */
export type DialManner = 'plain' | 'encrypted';

export const DIAL_MANNERS: { readonly [policy in EncryptionPolicy]: readonly [DialManner, ...DialManner[]] } = {
  off: ['plain'],
  allow: ['plain', 'encrypted'],
  prefer: ['encrypted', 'plain'],
  require: ['encrypted'],
};

export const STREAM_METHODS: { readonly [policy in EncryptionPolicy]: readonly StreamMethod[] } = {
  off: [],
  allow: [PLAIN_METHOD, RC4_METHOD],
  prefer: [PLAIN_METHOD, RC4_METHOD],
  require: [RC4_METHOD],
};
