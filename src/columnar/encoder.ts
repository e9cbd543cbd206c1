/**
 * Rows of spans into message batches: rendering, framing and cutting. There are two implementations, which make the same
 * bytes and cut them at the same places: the kernel in WebAssembly, and plain JavaScript.
 */
import type { RecordBatch } from 'apache-arrow'
import { ArrowEncoder } from './arrow-encoder.ts'
import { JavaScriptEncoder } from './javascript-encoder.ts'
import { kernelChoice } from './kernel.ts'
import { KernelEncoder } from './kernel-encoder.ts'
import type { FilledBatch, KafkaEncoding, PlainEncoding, ReadPlan } from './read-plan.ts'
import { TransformEncoder } from './transform-encoder.ts'

/** What of a plan an encoder goes by. */
export type EncoderPlan = Pick<
  ReadPlan,
  'encoding' | 'ids' | 'shape' | 'columns' | 'batchRows' | 'batchBytes' | 'stableBatches' | 'checksums'
>

/** Of an encoding that has a row's JSON. */
export type RowPlan = EncoderPlan & { readonly encoding: PlainEncoding | KafkaEncoding }

/** The rows of one span, which lie in `batch` from its first row on. */
export interface SpanRows {
  readonly chunk: number
  /** First row of the span in its chunk. */
  readonly row: number
  /** Name of the staged file, for errors. */
  readonly name: string
  readonly batch: RecordBatch
  /** Those to encode, ascending; undefined: all. */
  readonly selected: Uint32Array | undefined
}

export interface EncodedSpan {
  /** Payload bytes of its rows. */
  readonly bytes: number
  /** How many of the selected rows a transform left out. */
  readonly dropped: number
}

export interface SpanEncoder {
  /** Encodes a span to its end and cuts what is full by then. The batch is not kept. */
  add(span: SpanRows): EncodedSpan
  /** Cuts what is filling, between two spans. */
  cut(): void
  /** The batches that were cut since the last call, in order. */
  takeFilled(): FilledBatch[]
  /** Frees what is filling. Idempotent. */
  close(): void
}

/** Gives `length` bytes at the start of a buffer of their own, with anything in them. */
export type Allocate = (length: number) => Uint8Array<ArrayBuffer>

export function openEncoder(plan: EncoderPlan, allocate: Allocate): SpanEncoder {
  const { encoding, shape } = plan
  if (encoding.kind === 'arrow-stream') return new ArrowEncoder(plan, allocate)
  const transform = shape?.transform
  if (!transform) return openRowEncoder({ ...plan, encoding }, allocate)
  return new TransformEncoder({ ...plan, encoding, shape: { ...shape, transform } }, allocate, inner =>
    openRowEncoder(inner, length => new Uint8Array(length)),
  )
}

function openRowEncoder(plan: RowPlan, allocate: Allocate): SpanEncoder {
  const { kernel } = kernelChoice()
  return kernel ? new KernelEncoder(kernel, plan, allocate) : new JavaScriptEncoder(plan, allocate)
}
