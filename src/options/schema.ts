/**
 * Schemas for what people and programs hand in: configuration and requests. The only importer of zod.
 */
export { z } from 'zod';
