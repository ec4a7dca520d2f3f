/**
 * Which addresses NO_PROXY means, as curl and Python's requests read it: names with all that is below them,
 * addresses, ranges of addresses (10.0.0.0/8), and "*" for everything; each but the last with a port or without.
 */
import { BlockList, isIP } from 'node:net'

const ENTRY = /^(?:\[([^\]]+)\]|([^:]+|[^:]*(?::[^:]*){2,}))(?::(\d+))?$/

/** @param noProxy entries between commas or spaces */
export function isWithoutProxy(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase()
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return noProxy.split(/[\s,]+/).some((entry) => {
    const [, bracketed, plain, wanted = port] = ENTRY.exec(entry.toLowerCase()) ?? []
    const name = (bracketed ?? plain)?.replace(/^\*?\.|\.$/g, '')
    if (!name || wanted !== port) return false
    return name === '*' || host === name || host.endsWith(`.${name}`) || isInRange(host, name)
  })
}

function isInRange(host: string, range: string): boolean {
  const [network, bits] = range.split('/')
  const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
  if (bits === undefined || isIP(host) === 0 || isIP(host) !== isIP(network)) return false
  const list = new BlockList()
  try {
    list.addSubnet(network, Number(bits), family(network))
  } catch {
    return false
  }
  return list.check(host, family(host))
}
