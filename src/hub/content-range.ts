/**
 * Which bytes of a file an answer has, and of how many, from "Content-Range: bytes 0-99/1234"; undefined
 * where there is no such header, or none of this form.
 */
export function readContentRange(headers: { get(name: string): string | null }) {
  const header = headers.get('Content-Range') ?? ''
  const numbers = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header)
  if (numbers === null) return undefined
  const [first, last, size] = numbers.slice(1).map(Number)
  return { first, last, size }
}

/**
 * The coding that an answer's body was sent in, although none was asked for; undefined for none. Whoever
 * made the answer has decoded what it knows, so that the length that is stated is not the body's.
 */
export function contentCoding(headers: { get(name: string): string | null }): string | undefined {
  const codings = (headers.get('Content-Encoding') ?? '')
    .split(',')
    .map((one) => one.trim().toLowerCase())
  // The last one is a storage server's remark about how the file was once uploaded.
  return codings.find((one) => !['', 'identity', 'aws-chunked'].includes(one))?.slice(0, 40)
}
