/** The program of a lane: reads units for the host, one span a call. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import type { EncoderPlan } from '../columnar/encoder.ts'
import { frameRows } from '../columnar/frame-rows.ts'
import { isShared } from '../columnar/memory.ts'
import type { FilledBatch, ReadPlan, TextColumn, UnitReader } from '../columnar/read-plan.ts'
import { openUnitReader } from '../columnar/reader.ts'
import { type FramedRows, openRows, reframe } from '../columnar/reframe.ts'
import type { TextRow } from '../columnar/text-row.ts'
import { loadTransform } from '../columnar/transform.ts'
import { heldSet, type SetHolder } from '../columnar/value-sets.ts'
import { RecycledBuffers } from './buffer-pool.ts'
import { encoderInUse } from './encoder-in-use.ts'
import type { RemoteAccess } from './lane.ts'
import { Moved, ThreadRpc } from './thread-rpc.ts'

/** A third of the weight of a thread with 0. */
const LANE_NICENESS = 5

yieldToHost()

const readers = new Map<number, UnitReader>()
const pools = { own: new RecycledBuffers(), shared: new RecycledBuffers({ shared: true }) }

const host = new ThreadRpc(parentPort!, {
  open(id: number, plan: ReadPlan) {
    encoderInUse()
    readers.set(
      id,
      openUnitReader(
        plan,
        async chunk => localAccess(id, await host.call<RemoteAccess>('access', [id, chunk])),
        set => heldSet(set, holder(id), () => pieces(id, set.ref)),
        plan.sharedMemory ? pools.shared : pools.own,
      ),
    )
  },
  async next(id: number) {
    const span = await readers.get(id)!.next()
    return span && new Moved(span, span.batches.flatMap(buffersOf))
  },
  async cut(id: number) {
    const batches = await readers.get(id)!.cut()
    return new Moved(batches, batches.flatMap(buffersOf))
  },
  async close(id: number) {
    const reader = readers.get(id)
    readers.delete(id)
    await reader?.close()
  },
  give(bytes: Uint8Array<ArrayBuffer>) {
    const pool = isShared(bytes.buffer) ? pools.shared : pools.own
    pool.give(bytes)
  },
  async reframe(framed: FramedRows, groups: readonly (readonly number[])[]) {
    const parts = await reframe(framed, groups)
    return new Moved(
      parts,
      parts.flatMap(({ bytes, ends }) => [bytes.buffer, ends.buffer]),
    )
  },
  async openRows(framed: FramedRows, positions: readonly number[]) {
    return openRows(framed, positions)
  },
  loadTransform,
  async frameRows(plan: EncoderPlan, rows: readonly TextRow[]) {
    const batches = await frameRows(plan, rows)
    return new Moved(batches, batches.flatMap(buffersOf))
  },
})

try {
  host.tell('started', [encoderInUse()])
} catch {
  host.tell('started', []) // a choice that cannot be followed is the error of every reader that is opened
}

/**
 * Where all processors are busy, the event loop of the host comes before its lanes. Only Linux has priorities for single threads;
 * elsewhere all are equal.
 */
function yieldToHost(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    setPriority(thread, LANE_NICENESS)
  } catch {
    // a help, and no need
  }
}

function localAccess(id: number, access: RemoteAccess): Awaited<ReturnType<Parameters<typeof openUnitReader>[1]>> {
  if (!('handle' in access)) return access
  const { handle, byteLength } = access
  return { byteLength, read: (start, end) => host.call<Uint8Array>('read', [id, handle, start, end]) }
}

function holder(id: number): SetHolder {
  return {
    claim: key => host.call('claimSet', [id, key]),
    settle: (key, set) => host.call('settleSet', [id, key, set]),
  }
}

async function* pieces(id: number, ref: string): AsyncGenerator<readonly string[]> {
  for (;;) {
    const piece = await host.call<readonly string[] | undefined>('values', [id, ref])
    if (piece === undefined) return
    yield piece
  }
}

/** Those that move to the host; shared ones are in both places. */
function buffersOf({ bytes, ends, rowNumbers, ids, columns = {} }: FilledBatch): ArrayBuffer[] {
  const texts: TextColumn[] = [...(ids ? [ids] : []), ...Object.values(columns)]
  const views = [bytes, ends, rowNumbers, ...texts.flatMap(text => [text.bytes, text.ends, text.nulls])]
  return views.map(view => view.buffer).filter(buffer => !isShared(buffer))
}
