/** How shaders that know no rows share out their elements. */
import type { Workgroups } from './define-op.ts'

/** A dimension of a dispatch has no more than 65,535 workgroups. */
const WIDE = 32768

/** Workgroups of 256 invocations, one an element: element (y * 32768 + x) * 256 and those behind it. */
export function flatWorkgroups(elements: number): Workgroups {
  const groups = Math.ceil(elements / 256)
  return [Math.min(groups, WIDE), Math.ceil(groups / WIDE)]
}
