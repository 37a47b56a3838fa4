/** What a measurement needs of a live source that several stations take on their own, whatever program serves it. */
import type { RecordedTag } from './flv-recorder.js';

export interface Origin {
  /** What a station names as its `source`. */
  readonly url: string;
  /** The encoder behind it goes away and another one comes: new headers, times near zero. */
  restartEncoder(): Promise<void>;
  /** The coded media that the encoder has sent, in order; empty where it cannot be told (a server that plays a file). */
  sentFrames(): Promise<readonly RecordedTag[]>;
  stop(): Promise<void>;
}
