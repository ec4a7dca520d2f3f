/**
 * Dates as Python's strftime writes them on Linux, in the C locale: in English wherever it runs.
 */
import { notSupported } from './errors.ts'

const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')
const MONTHS =
  'January February March April May June July August September October November December'.split(' ')
const DAY_MS = 86_400_000
/** Conversions that stand for several others. */
const COMPOSED: Readonly<Record<string, string>> = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
  T: '%H:%M:%S',
  X: '%H:%M:%S',
  r: '%I:%M:%S %p',
  x: '%m/%d/%y',
}

/** A local date by a format of strftime; what is no conversion stays as it is. */
export function strftime(date: Date, format: string): string {
  return format.replace(
    /%([-_0^#]*)(\d*)[EO]?([a-zA-Z%+])/g,
    (whole: string, flags: string, width: string, name: string) => {
      if (width !== '') throw notSupported(`the width in "${whole}" of a date`)
      const composed = COMPOSED[name]
      const value = composed === undefined ? conversion(date, name) : strftime(date, composed)
      if (value === undefined) return whole
      return flags === '' ? padded(value) : flagged(padded(value), value, flags, name)
    },
  )
}

/** A number with what it is filled up with; a text is as it is. */
type Field = string | { readonly value: number; readonly digits: number; readonly fill: string }

function number(value: number, digits: number, fill = '0'): Field {
  return { value, digits, fill }
}

function padded(field: Field): string {
  return typeof field === 'string' ? field : String(field.value).padStart(field.digits, field.fill)
}

function flagged(text: string, field: Field, flags: string, name: string): string {
  let result = text
  for (const flag of flags) {
    if (flag === '^') result = result.toUpperCase()
    else if (flag === '#') result = name === 'p' ? result.toLowerCase() : result.toUpperCase()
    else if (typeof field !== 'string') {
      result = padded({
        ...field,
        ...(flag === '-' ? { digits: 0 } : { fill: flag === '_' ? ' ' : '0' }),
      })
    } else if (COMPOSED[name] !== undefined) throw notSupported(`the flag in "%${flags}${name}"`)
  }
  return result
}

function conversion(date: Date, name: string): Field | undefined {
  const [year, month, day, hour] = [
    date.getFullYear(),
    date.getMonth(),
    date.getDate(),
    date.getHours(),
  ]
  const weekday = date.getDay()
  const yearDay = Math.round((Date.UTC(year, month, day) - Date.UTC(year, 0, 1)) / DAY_MS)
  const hour12 = hour % 12 === 0 ? 12 : hour % 12
  switch (name) {
    case 'a':
      return DAYS[weekday].slice(0, 3)
    case 'A':
      return DAYS[weekday]
    case 'b':
    case 'h':
      return MONTHS[month].slice(0, 3)
    case 'B':
      return MONTHS[month]
    case 'C':
      return number(Math.floor(year / 100), 2)
    case 'd':
      return number(day, 2)
    case 'e':
      return number(day, 2, ' ')
    case 'f':
      return String(date.getMilliseconds() * 1000).padStart(6, '0')
    case 'g':
      return number(isoWeek(date).year % 100, 2)
    case 'G':
      return number(isoWeek(date).year, 1)
    case 'H':
      return number(hour, 2)
    case 'I':
      return number(hour12, 2)
    case 'j':
      return number(yearDay + 1, 3)
    case 'k':
      return number(hour, 2, ' ')
    case 'l':
      return number(hour12, 2, ' ')
    case 'm':
      return number(month + 1, 2)
    case 'M':
      return number(date.getMinutes(), 2)
    case 'n':
      return '\n'
    case 'p':
      return hour < 12 ? 'AM' : 'PM'
    case 'P':
      return hour < 12 ? 'am' : 'pm'
    case 's':
      return number(Math.floor(date.getTime() / 1000), 1)
    case 'S':
      return number(date.getSeconds(), 2)
    case 't':
      return '\t'
    case 'u':
      return number(weekday === 0 ? 7 : weekday, 1)
    case 'U':
      return number(Math.floor((yearDay + 7 - weekday) / 7), 2)
    case 'V':
      return number(isoWeek(date).week, 2)
    case 'w':
      return number(weekday, 1)
    case 'W':
      return number(Math.floor((yearDay + 7 - ((weekday + 6) % 7)) / 7), 2)
    case 'y':
      return number(year % 100, 2)
    case 'Y':
      return number(year, 1)
    case 'z':
    case 'Z':
      // A date without a zone, as transformers gives templates, has none to show.
      return ''
    case '%':
      return '%'
    default:
      return undefined
  }
}

/** Week and year of ISO 8601: a week belongs to the year that its Thursday is in. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = Date.UTC(
    date.getFullYear(),
    date.getMonth(),
    date.getDate() + 3 - ((date.getDay() + 6) % 7),
  )
  const year = new Date(thursday).getUTCFullYear()
  return { year, week: 1 + Math.floor((thursday - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) }
}
