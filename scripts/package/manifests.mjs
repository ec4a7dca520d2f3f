/**
 * What goes into the packages beside code: their package.json, and pages whose links lead to the
 * repository. The publisher is named once, by `repository` in the checkout's package.json.
 */

/** What stands in package.json until a publisher has filled it in. */
const PLACEHOLDER = 'github:OWNER/'

/**
 * The fields by which a registry finds the project.
 *
 * @param repository "github:owner/name"
 * @throws Error for anything else
 */
export function publisherFields(repository) {
  const match = /^github:([\w.-]+)\/([\w.-]+)$/.exec(repository)
  if (match === null) {
    throw new Error(`Expected repository in package.json as github:owner/name, got ${repository}.`)
  }
  const address = `https://github.com/${match[1]}/${match[2]}`
  return {
    homepage: `${address}#readme`,
    bugs: { url: `${address}/issues` },
    // Provenance compares it with where the workflow ran.
    repository: { type: 'git', url: `git+${address}.git` },
  }
}

export function isPlaceholder({ repository }) {
  return repository.startsWith(PLACEHOLDER)
}

/** "@bitnet-ts/native-linux-x64"; src/backends/native/find-addon.ts looks for it. */
export function platformPackage(target) {
  return `@bitnet-ts/native-${target.name}`
}

/** The main package's package.json: without what only a checkout uses, with the platforms' packages. */
export function mainManifest(checkout, targets) {
  const { devDependencies, scripts, knip, repository, ...kept } = checkout
  return {
    ...kept,
    ...publisherFields(repository),
    // Models are mapped into memory, which needs files and no archive.
    preferUnplugged: true,
    optionalDependencies: Object.fromEntries(
      targets.map((target) => [platformPackage(target), checkout.version]),
    ),
  }
}

/** A platform's package.json, by which package managers install it there alone. */
export function platformManifest(checkout, target) {
  const { version, license, engines, repository } = checkout
  const { platform, arch, libc } = target
  return {
    name: platformPackage(target),
    version,
    description: `Native kernels of bitnet-ts for ${systemOf(target)}`,
    license,
    ...publisherFields(repository),
    engines,
    os: [platform],
    cpu: [arch],
    ...(platform === 'linux' && { libc: [libc ?? 'glibc'] }),
    main: 'bitnet.node',
    files: ['bitnet.node'],
    preferUnplugged: true,
  }
}

export function platformReadme(target) {
  const name = platformPackage(target)
  return `# ${name}

The native kernels of the package bitnet-ts for ${systemOf(target)}. It is an
optional dependency of bitnet-ts, of the same version, and is no use alone.
`
}

function systemOf({ platform, arch, libc }) {
  const system = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' }[platform]
  return `${system} on ${arch}${platform === 'linux' ? `, ${libc ?? 'glibc'}` : ''}`
}

/**
 * A page of the repository as a registry shows it: links into the repository become addresses at the tag
 * of the version.
 *
 * @param isFolder told a path of the repository
 */
export function pageForRegistry(markdown, { repository, version }, isFolder) {
  const { homepage } = publisherFields(repository)
  const address = (path, isImage) => {
    if (/^([a-z]+:|#|\/)/i.test(path)) return path
    const kind = isImage ? 'raw' : isFolder(path.replace(/#.*/, '')) ? 'tree' : 'blob'
    return `${homepage.replace(/#.*/, '')}/${kind}/v${version}/${path.replace(/^\.\//, '')}`
  }
  return markdown
    .replaceAll(/(!?)(\[[^\]]*\]\()([^)\s]+)/g, (_, image, text, path) => {
      return `${image}${text}${address(path, image !== '')}`
    })
    .replaceAll(/\b(src|href)="([^"]+)"/g, (_, name, path) => {
      return `${name}="${address(path, name === 'src')}"`
    })
}
