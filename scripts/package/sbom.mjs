/**
 * The bill of materials of a release, in CycloneDX's form: npm's own list of the packages that are
 * installed, and what npm does not see: the platforms' packages, what they were compiled with, the model.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

export const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex')

const hashes = (path) => [{ alg: 'SHA-256', content: sha256(path) }]
const licence = (id) => [{ license: { id } }]
const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`

/**
 * @param fromNpm what `npm sbom` says of the checkout's dependencies at run time
 * @param facts.date when the commit was made, so that the same commit gives the same file
 * @param facts.main { name, version, license, tarball }
 * @param facts.platforms the same, a list
 * @param facts.compiler "Zig 0.16.0"
 * @param facts.models paths
 */
export function billOfMaterials(fromNpm, { date, main, platforms, compiler, models }) {
  const { serialNumber, metadata, components, dependencies, ...form } = fromNpm
  const root = metadata.component['bom-ref']
  const addons = platforms.map(({ name, version, license, tarball }) => ({
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    scope: 'optional',
    purl: purl(name, version),
    hashes: hashes(tarball),
    licenses: licence(license),
  }))
  const weights = models.map((path) => ({
    'bom-ref': basename(path),
    type: 'machine-learning-model',
    name: basename(path),
    version: main.version,
    scope: 'required',
    hashes: hashes(path),
    licenses: licence(main.license),
  }))
  const own = [...addons, ...weights]
  const refs = own.map((component) => component['bom-ref'])
  const digest = sha256(main.tarball)
  return {
    ...form,
    serialNumber: `urn:uuid:${uuidFrom(digest)}`,
    metadata: {
      ...metadata,
      timestamp: date,
      tools: [
        ...metadata.tools,
        { vendor: 'Zig Software Foundation', name: 'zig', version: compiler.replace('Zig ', '') },
      ],
      component: {
        ...metadata.component,
        name: main.name,
        hashes: [{ alg: 'SHA-256', content: digest }],
      },
    },
    components: [...components, ...own],
    dependencies: [
      ...dependencies.map((entry) =>
        entry.ref === root ? { ...entry, dependsOn: [...entry.dependsOn, ...refs] } : entry,
      ),
      ...refs.map((ref) => ({ ref, dependsOn: [] })),
    ],
  }
}

/** A name-based UUID (RFC 9562, version 8) from a hash in hexadecimal. */
function uuidFrom(digest) {
  const part = (from, to) => digest.slice(from, to)
  return `${part(0, 8)}-${part(8, 12)}-8${part(13, 16)}-8${part(17, 20)}-${part(20, 32)}`
}
