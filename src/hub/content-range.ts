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
