/** What is kept of a title over restarts, beside its torrent and its data. */
import { z } from '../../options/schema.js';

const schema = z.object({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{40}$/),
  /** Magnet form: trackers, web seeds and peers beside those of the torrent. */
  link: z.string().max(65_536),
  /** Where the title's file or folder lies. */
  folder: z.string().min(1).max(4096),
  /** What its file or folder is called there, when it is not the title's name. */
  diskName: z.string().min(1).max(255).nullable().default(null),
  /** What the super node found in its folder, and how it was when it was hashed; null for every other title. */
  watched: z
    .object({ path: z.string().min(1).max(4096), sizeBytes: z.number(), changedMs: z.number() })
    .nullable()
    .default(null),
  /** Made from files of this machine, which stay where they are. */
  published: z.boolean(),
  /** Other machines may fetch its files by HTTP (BEP 19). */
  publicSeed: z.boolean(),
  /** Watched, not kept: it is given up piece by piece when room is needed. */
  cached: z.boolean(),
  /** Its owner keeps it: it never gives way. */
  pinned: z.boolean().default(false),
  paused: z.boolean(),
  /** ISO 8601. */
  addedAt: z.string().max(40),
  usedAt: z.string().max(40),
  /** Payload since it was added. */
  uploadedBytes: z.number().min(0),
  downloadedBytes: z.number().min(0),
  /** Time for which it has been given with all that is wanted here, milliseconds. */
  seededMs: z.number().min(0).default(0),
  /** It is given without end, whatever the configured policy says. */
  seedsOn: z.boolean().default(false),
});

export type TitleEntry = Readonly<z.infer<typeof schema>>;

/** @throws when it is none. */
export function parseTitleEntry(value: unknown): TitleEntry {
  return schema.parse(value);
}
