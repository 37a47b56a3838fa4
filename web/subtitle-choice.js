/**
 * The subtitles of what plays: a track for each in the video, and a box beside it to choose one of them.
 */
import { make } from '/elements.js';

export class SubtitleChoice {
  #video;
  #row;
  #select;

  /** @param row what is shown and hidden; it has the select in it. */
  constructor(video, row, select) {
    this.#video = video;
    this.#row = row;
    this.#select = select;
    select.addEventListener('change', () => this.#apply());
    // The video's own menu changes them, too.
    video.textTracks.addEventListener('change', () => this.#read());
  }

  /** Offers these, with none chosen, in place of those before. */
  show(subtitles) {
    this.#video.replaceChildren(
      ...subtitles.map(({ source, label, language }) =>
        make('track', { kind: 'subtitles', src: source, label, srclang: language || 'und' }),
      ),
    );
    const options = subtitles.map(({ label }, index) => make('option', { value: `${index}`, textContent: label }));
    this.#select.replaceChildren(make('option', { value: '', textContent: 'Off' }), ...options);
    this.#row.hidden = subtitles.length === 0;
  }

  #apply() {
    for (const [index, track] of [...this.#video.textTracks].entries())
      track.mode = `${index}` === this.#select.value ? 'showing' : 'disabled';
  }

  #read() {
    const shown = [...this.#video.textTracks].findIndex(({ mode }) => mode === 'showing');
    this.#select.value = shown < 0 ? '' : `${shown}`;
  }
}
