/** What examples/serving/ deploys: manifests by the schemas of Kubernetes and KEDA, and all of it by the program. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Service } from 'kubernetes-models/v1/Service'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { runCli } from '../src/cli/program.ts'
import { ROOT } from './support/built-program.ts'
import { mockSurroundings } from './support/mock-language-model.ts'
import { serve } from './support/mock-server.ts'

const FOLDER = join(ROOT, 'examples', 'serving')
const KINDS = {
  'apps/v1 Deployment': Deployment,
  'apps/v1 StatefulSet': StatefulSet,
  'autoscaling/v2 HorizontalPodAutoscaler': HorizontalPodAutoscaler,
  'keda.sh/v1alpha1 ScaledObject': ScaledObject,
  'policy/v1 PodDisruptionBudget': PodDisruptionBudget,
  'v1 Service': Service,
}

// biome-ignore lint/suspicious/noExplicitAny: manifests are looked into by name
type Manifest = any

const files = readdirSync(join(FOLDER, 'kubernetes'))
const manifests: Manifest[] = files.flatMap((file) =>
  parseAllDocuments(readFileSync(join(FOLDER, 'kubernetes', file), 'utf8')).map((document) => {
    expect(document.errors).toEqual([])
    return document.toJS()
  }),
)
const titled = manifests.map((one): [string, Manifest] => [`${one.kind} ${one.metadata.name}`, one])
const named = (title: string): Manifest => new Map(titled).get(title)
const containersOf = (one: Manifest): Manifest[] => one.spec.template?.spec.containers ?? []

function check(manifest: Manifest): void {
  const kind = `${manifest.apiVersion} ${manifest.kind}` as keyof typeof KINDS
  new KINDS[kind](manifest).validate()
}

describe('Kubernetes', () => {
  test.each(titled)('%s is what its schema asks for', (_, manifest) => {
    check(manifest)
    const wrong = structuredClone(manifest)
    wrong.spec = { ...wrong.spec, selector: 7, scaleTargetRef: 7 }
    expect(() => check(wrong)).toThrow()
  })

  test('selectors, targets and ports are those of what they mean', () => {
    for (const [, { kind, spec, metadata }] of titled) {
      if (kind === 'Deployment' || kind === 'StatefulSet') {
        expect(spec.selector.matchLabels).toEqual(spec.template.metadata.labels)
        // Of these how many there are is somebody else's to say.
        if (kind === 'Deployment') expect(spec.replicas).toBeUndefined()
      }
      if (kind === 'Service') {
        const to = named(`Deployment ${metadata.name}`) ?? named(`StatefulSet ${metadata.name}`)
        expect(to.spec.template.metadata.labels).toEqual(spec.selector)
        const ports = containersOf(to).flatMap((one) => one.ports ?? [])
        expect(ports.map(({ name }: Manifest) => name)).toContain(spec.ports[0].targetPort)
      }
      if (spec.scaleTargetRef) expect(named(`Deployment ${spec.scaleTargetRef.name}`)).toBeDefined()
    }
  })

  test('probes ask for what the server answers', async () => {
    const { ask, server } = serve()
    const [container] = containersOf(named('Deployment bitnet-serve'))
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const { path, port } = container[probe].httpGet
      expect((await ask(path)).status).toBe(200)
      expect(container.ports.map(({ name }: Manifest) => name)).toContain(port)
    }
    server.drain()
    expect((await ask(container.readinessProbe.httpGet.path)).status).toBe(503)
    expect((await ask(container.livenessProbe.httpGet.path)).status).toBe(200)
  })

  test('Prometheus asks where figures are without a key', () => {
    const { template } = named('Deployment bitnet-serve').spec
    const { 'prometheus.io/port': port, 'prometheus.io/path': path } = template.metadata.annotations
    const [{ args, ports }] = template.spec.containers
    expect(args).toContain(`--metrics-port=${port}`)
    expect(path).toBe('/metrics')
    expect(ports).toContainEqual({ name: 'metrics', containerPort: Number(port) })
  })

  test('they scale by figures that there are', async () => {
    const { ask } = serve()
    const figures = await (await ask('/metrics')).text()
    const [{ pods }] = named('HorizontalPodAutoscaler bitnet-serve').spec.metrics
    expect(figures).toMatch(new RegExp(`^${pods.metric.name} 0$`, 'm'))
    const store = readFileSync(join(ROOT, 'src', 'node', 'batch', 'redis-store.ts'), 'utf8')
    const [{ metadata }] = named('ScaledObject bitnet-worker').spec.triggers
    const [, prefix] = /const PREFIX = '(.*)'/.exec(store) ?? []
    const [, queue] = /const QUEUE = '(.*)'/.exec(store) ?? []
    expect(metadata.listName).toBe(`${prefix}:${queue}:wait`)
  })
})

/** Whether the program knows all flags of a command line. */
async function helpOf(command: string): Promise<string> {
  const mock = mockSurroundings()
  expect(await runCli([command, '--help'], mock)).toBe(0)
  return mock.out()
}

const dockerfile = readFileSync(join(FOLDER, 'Dockerfile'), 'utf8').replaceAll(/\\\n/g, '')
const instruction = (name: string): string =>
  new RegExp(`^${name} (.*)$`, 'm').exec(dockerfile)?.[1] ?? ''

const commandLines = [
  JSON.parse(instruction('CMD')),
  ...manifests
    .flatMap(containersOf)
    .flatMap(({ image, args }: Manifest) => (String(image).startsWith('bitnet:') ? [args] : [])),
] as string[][]

test.each(commandLines.map((args) => [args.join(' '), args] as const))(
  '%s is a command line of the program',
  async (_, [command, ...args]) => {
    const help = await helpOf(command)
    const flags = args.filter((arg) => arg.startsWith('--')).map((arg) => arg.split('=')[0])
    expect(flags.length).toBeGreaterThan(0)
    for (const flag of flags) expect(help).toMatch(new RegExp(`(?:^|[ ,])${flag}(?: |$)`, 'm'))
  },
)

test('the image has the version and the peers that package.json asks for', () => {
  const { version, peerDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const images = manifests.flatMap(containersOf).map(({ image }: Manifest) => image)
  expect(images.filter((image) => image.startsWith('bitnet:'))).toEqual(
    Array(2).fill(`bitnet:${version}`),
  )
  for (const name of ['bullmq', 'ioredis']) {
    const [, asked] = new RegExp(`${name}@(\\d+)`).exec(instruction('RUN')) ?? []
    expect(peerDependencies[name]).toMatch(new RegExp(`^\\^${asked}\\.`))
  }
})
