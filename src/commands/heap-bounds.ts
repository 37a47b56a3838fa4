/**
 * The bounds of the heap for the command that is called. The first thing that is loaded, because V8 heeds some bounds only as long as nothing has grown.
 */
import { argv } from 'node:process';
import { keepHeapSmall } from '../io/small-heap.js';

/** Titles pass through these by the gigabyte, outside of the heap. Not `play`, which has to be there at once: a small heap costs it 40 ms. */
const TITLE_COMMANDS: readonly (string | undefined)[] = ['publish', 'get'];

if (TITLE_COMMANDS.includes(argv[2])) keepHeapSmall();
