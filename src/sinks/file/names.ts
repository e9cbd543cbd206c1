import type { Unit } from '../sink.ts'

/** What the names of a delivery's files begin with; the unit's number follows. */
export function filePrefix({ jobId, destination, delivery }: Pick<Unit, 'jobId' | 'destination' | 'delivery'>): string {
  const redelivery = delivery === 0 ? '' : `-d${delivery}`
  return `${jobId}-${destination.uid.slice(0, 8)}${redelivery}-`.replaceAll(/[^\w-]/g, '_')
}
