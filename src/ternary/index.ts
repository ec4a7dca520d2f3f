export * from './base3.ts'
export * from './orders.ts'
export * from './pack.ts'
export * from './quantize.ts'
