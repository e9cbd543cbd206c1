/** Columns of views (Arrow's "variable-size binary view layout") as the kernel reads them. */
import type { Data } from 'apache-arrow'
import type { ColumnPlan } from './kernel-columns.ts'
import type { Scratch } from './kernel-scratch.ts'
import { checkBuffers, nullTest } from './render/buffers.ts'

const VIEW_BYTES = 16
const INLINE_BYTES = 12

/**
 * Views that lie in the kernel's memory, with its whole memory as their buffer, are used where they are: whoever made them
 * there has checked them. Others are checked; of each of their buffers just the stretch is copied that rows of this span
 * use, since a slice of a record batch brings the buffers of the whole.
 */
export function planViews(scratch: Scratch, column: string, data: Data): Pick<ColumnPlan, 'values' | 'buffers'> {
  const views: Uint8Array = data.values
  const values = scratch.place(views.subarray(0, data.length * VIEW_BYTES))
  const { variadicBuffers } = data
  if (!values.inScratch && variadicBuffers.length === 1 && isWholeMemory(variadicBuffers[0]!, views)) return { values }
  const stretches = stretchesOf(data)
  if (!stretches) {
    checkBuffers(column, data)
    throw new Error('a column of views is wrong in no way that is known')
  }
  const places = stretches.map(({ start, end }, index) => {
    if (start >= end) return values
    const { inScratch, at } = scratch.place(variadicBuffers[index]!.subarray(start, end))
    return { inScratch, at: at - start }
  })
  return { values, buffers: { places, table: scratch.reserve(4 * places.length) } }
}

function isWholeMemory(bytes: Uint8Array, views: Uint8Array): boolean {
  return bytes.buffer === views.buffer && bytes.byteOffset === 0
}

interface Stretch {
  start: number
  end: number
}

/** What the rows use of each buffer; undefined where anything is wrong. */
function stretchesOf(data: Data): Stretch[] | undefined {
  const { length, variadicBuffers, nullBitmap, offset } = data
  const views: Uint8Array = data.values
  if (views.length < length * VIEW_BYTES) return undefined
  if (nullBitmap && nullBitmap.length > 0 && nullBitmap.length * 8 < offset + length) return undefined
  const fields = new DataView(views.buffer, views.byteOffset, views.byteLength)
  const isNull = nullTest(data)
  const stretches = variadicBuffers.map(() => ({ start: Number.POSITIVE_INFINITY, end: 0 }))
  for (let row = 0, view = 0; row < length; row++, view += VIEW_BYTES) {
    if (isNull?.(row)) continue
    const bytes = fields.getInt32(view, true)
    if (bytes >= 0 && bytes <= INLINE_BYTES) continue
    const index = fields.getInt32(view + 8, true)
    const start = fields.getInt32(view + 12, true)
    const stretch = stretches[index]
    if (bytes < 0 || start < 0 || !stretch || start + bytes > variadicBuffers[index]!.length) return undefined
    if (start < stretch.start) stretch.start = start
    if (start + bytes > stretch.end) stretch.end = start + bytes
  }
  return stretches
}
