/** What the lists of texts for training are written in: "path", or "path=2" for what counts twice. */
export interface DataEntry {
  readonly path: string
  readonly weight: number
}

export function parseDataEntry(entry: string): DataEntry {
  const [, path, weight] = /^(.*?)(?:=(\d+(?:\.\d+)?))?$/s.exec(entry) ?? []
  return { path, weight: weight === undefined ? 1 : Number(weight) }
}
