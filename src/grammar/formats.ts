/** Texts of the formats that JSON Schema names: some of those that are valid, and none that is not. */

const HOUR = '(?:[01]\\d|2[0-3])'
const MONTH_DAY =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))'
const DATE = `\\d{4}-${MONTH_DAY}`
const TIME = `${HOUR}:[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-]${HOUR}:[0-5]\\d)`
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?'
const HOST = `${LABEL}(?:\\.${LABEL}){0,4}`
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const WORD = "[a-zA-Z0-9_'+-]{1,40}"

export const FORMATS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    date: DATE,
    time: TIME,
    'date-time': `${DATE}T${TIME}`,
    duration: 'P\\d{1,4}(?:[YMWD]|DT\\d{1,4}[HMS])',
    email: `${WORD}(?:\\.${WORD}){0,3}@${LABEL}(?:\\.${LABEL}){0,2}\\.[a-zA-Z]{2,20}`,
    hostname: HOST,
    ipv4: `${BYTE}(?:\\.${BYTE}){3}`,
    ipv6: '[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}',
    uri: `https?://${HOST}(?:/[a-zA-Z0-9._~-]{1,60}){0,8}(?:\\?[a-zA-Z0-9=&._~-]{1,60})?`,
    uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  }).map(([name, pattern]) => [name, `^(?:${pattern})$`]),
)

/** Formats of JSON Schema that no answer can be held to; other names mean nothing there. */
export const OTHER_FORMATS: readonly string[] = [
  ...['idn-email', 'idn-hostname', 'uri-reference', 'iri', 'iri-reference', 'uri-template'],
  ...['json-pointer', 'relative-json-pointer', 'regex'],
]
