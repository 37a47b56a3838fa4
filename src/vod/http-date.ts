/**
 * HTTP dates (RFC 9110, section 5.6.7) as whole seconds since 1970, without a clock or a calendar of the runtime.
 *
 * Writes the one form that is to be written, and reads that form alone: the two obsolete forms are treated as no date, which in every
 * condition means the full answer.
 */

const DAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const FORM = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const SECONDS_PER_DAY = 86_400;
/** Days of 400 years, after which the calendar repeats. */
const ERA_DAYS = 146_097;
/** 1 March of year 0 to 1 January 1970. */
const EPOCH_DAYS = 719_468;

/** `Sun, 06 Nov 1994 08:49:37 GMT`, for seconds from 0 to the end of year 9999. */
export function formatHttpDate(seconds: number): string {
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const { year, month, day } = civilDate(days);
  const ofDay = Math.floor(seconds) % SECONDS_PER_DAY;
  const time = [ofDay / 3600, (ofDay / 60) % 60, ofDay % 60].map((part) => twoDigits(Math.floor(part))).join(':');
  return `${DAYS[days % 7]}, ${twoDigits(day)} ${MONTHS[month]} ${String(year).padStart(4, '0')} ${time} GMT`;
}

/** Seconds since 1970, or undefined for what is no such date. */
export function parseHttpDate(text: string): number | undefined {
  const [, day = '', name = '', year = '', hour = '', minute = '', second = ''] = FORM.exec(text) ?? [];
  const month = MONTHS.indexOf(name);
  if (month < 0 || Number(day) < 1 || Number(day) > 31 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const days = daysFromCivil(Number(year), month, Number(day));
  return days * SECONDS_PER_DAY + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
}

/** Years begin in March here, so that the leap day is a year's last. */
function daysFromCivil(year: number, month: number, day: number): number {
  const marchYear = month < 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 10) % 12) + 2) / 5) + day - 1;
  return era * ERA_DAYS + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - EPOCH_DAYS;
}

function civilDate(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / ERA_DAYS);
  const dayOfEra = shifted - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = (marchMonth + 2) % 12;
  return { year: yearOfEra + era * 400 + (month < 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1 };
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
