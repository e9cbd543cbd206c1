import type { Unit } from '../sink.ts'

export const EXTENSIONS = { none: '.jsonl', gzip: '.jsonl.gz', zstd: '.jsonl.zst' } as const

/** Behind the prefix: the unit, where a part starts behind a pause, and which piece of it this is. */
const REST = /^(\d{6,})(?:_\d{10,})?(?:\.\d{5,})?\.jsonl(\.gz|\.zst)?$/
const PIECE = /^(?:\.\d{5,})?\.jsonl(?:\.gz|\.zst)?$/

/** What the names of a delivery's files begin with; the unit's number follows. */
export function filePrefix({ jobId, destination, delivery }: Pick<Unit, 'jobId' | 'destination' | 'delivery'>): string {
  const redelivery = delivery === 0 ? '' : `-d${delivery}`
  return `${jobId}-${destination.uid.slice(0, 8)}${redelivery}-`.replaceAll(/[^\w-]/g, '_')
}

export function baseName(unit: Unit): string {
  const number = unit.id.slice(unit.id.lastIndexOf('/') + 1).padStart(6, '0')
  return filePrefix(unit) + number.replaceAll(/\W/g, '_')
}

/** Whether a file has rows of the part whose names begin with `stem`. */
export function isPieceOf(stem: string, name: string): boolean {
  return name.startsWith(stem) && PIECE.test(name.slice(stem.length))
}

/** `rest`: what stands behind the prefix in the name of a file. Undefined where it is none of the delivery's. */
export function readName(
  rest: string,
): { readonly unit: number; readonly compression: 'none' | 'gzip' | 'zstd' } | undefined {
  const [, unit, extension] = REST.exec(rest) ?? []
  if (unit === undefined) return undefined
  return { unit: Number(unit), compression: extension === '.gz' ? 'gzip' : extension === '.zst' ? 'zstd' : 'none' }
}
