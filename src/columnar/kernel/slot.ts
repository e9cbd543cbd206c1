// Slots: batches that are filling. A slot's payload, the arrays beside it and its texts are buffers that begin with nothing
// and double as they must, so that a slot costs what it holds, however many there are.
import {
  ENCODER_BEFORE_FIRST, ENCODER_RESERVE, ENCODER_TEXTS, SLOT_BYTES, SLOT_CAPACITY, SLOT_ENDS, SLOT_LENGTH, SLOT_PIECE_BYTES, SLOT_PIECE_CHECKSUM,
  SLOT_PIECE_FIRST, SLOT_PIECE_ROWS, SLOT_ROW_NUMBERS, SLOT_ROWS, SLOT_ROWS_CAPACITY, SLOT_SPAN_ROWS, SLOT_TEXTS,
  TEXT_BYTES, TEXT_CAPACITY, TEXT_ENDS, TEXT_LENGTH, TEXT_NULLS, TEXT_RECORD_BYTES,
} from '../kernel-layout'
import { free, reallocate } from './memory'

const FIRST_ROWS: u32 = 64
const FIRST_BYTES: u32 = 256

/** At least doubles the payload's buffer; it then has room for a row without what varies, so no row asks in vain for ever. */
export function growPayload(slot: usize, encoder: usize): void {
  const capacity = load<u32>(slot, SLOT_CAPACITY)
  const larger = max(2 * capacity, load<u32>(slot, SLOT_LENGTH) + 2 * load<u32>(encoder, ENCODER_RESERVE))
  store<usize>(slot, reallocate(load<usize>(slot, SLOT_BYTES), larger), SLOT_BYTES)
  store<u32>(slot, larger, SLOT_CAPACITY)
}

/** Makes room for one row more in everything that has an element a row. */
export function growRows(slot: usize, texts: u32): void {
  const capacity = max(FIRST_ROWS, 2 * load<u32>(slot, SLOT_ROWS_CAPACITY))
  store<u32>(slot, capacity, SLOT_ROWS_CAPACITY)
  store<usize>(slot, reallocate(load<usize>(slot, SLOT_ENDS), capacity << 2), SLOT_ENDS)
  store<usize>(slot, reallocate(load<usize>(slot, SLOT_ROW_NUMBERS), capacity << 2), SLOT_ROW_NUMBERS)
  const end = load<usize>(slot, SLOT_TEXTS) + texts * TEXT_RECORD_BYTES
  for (let text = load<usize>(slot, SLOT_TEXTS); text < end; text += TEXT_RECORD_BYTES) {
    store<usize>(text, reallocate(load<usize>(text, TEXT_ENDS), capacity << 2), TEXT_ENDS)
    store<usize>(text, reallocate(load<usize>(text, TEXT_NULLS), capacity), TEXT_NULLS)
  }
}

export function growText(text: usize): void {
  const capacity = max(FIRST_BYTES, 2 * load<u32>(text, TEXT_CAPACITY))
  store<usize>(text, reallocate(load<usize>(text, TEXT_BYTES), capacity), TEXT_BYTES)
  store<u32>(text, capacity, TEXT_CAPACITY)
}

/** Counts a row into the piece that is growing, which begins with it if there is none. */
export function countRow(slot: usize, bytes: u32, checksum: u64): void {
  const spanRows = load<u32>(slot, SLOT_SPAN_ROWS)
  const rows = load<u32>(slot, SLOT_PIECE_ROWS)
  if (rows == 0) {
    store<u32>(slot, spanRows, SLOT_PIECE_FIRST)
    store<u64>(slot, 0, SLOT_PIECE_BYTES)
    store<u64>(slot, 0, SLOT_PIECE_CHECKSUM)
  }
  store<u32>(slot, rows + 1, SLOT_PIECE_ROWS)
  store<u32>(slot, spanRows + 1, SLOT_SPAN_ROWS)
  store<u64>(slot, load<u64>(slot, SLOT_PIECE_BYTES) + bytes, SLOT_PIECE_BYTES)
  store<u64>(slot, load<u64>(slot, SLOT_PIECE_CHECKSUM) + checksum, SLOT_PIECE_CHECKSUM)
}

/** Takes out the first rows. */
export function dropRows(encoder: usize, slot: usize, rows: u32): void {
  const left = load<u32>(slot, SLOT_ROWS) - rows
  store<u32>(slot, left, SLOT_ROWS)
  const payload = load<usize>(slot, SLOT_BYTES)
  const droppedBytes = dropEnds(load<usize>(slot, SLOT_ENDS), rows, left)
  const payloadBytes = load<u32>(slot, SLOT_LENGTH) - droppedBytes
  memory.copy(payload, payload + droppedBytes, payloadBytes)
  store<u32>(slot, payloadBytes, SLOT_LENGTH)
  const first = load<i32>(encoder, ENCODER_BEFORE_FIRST)
  if (left > 0 && first >= 0) store<u8>(payload, <u8>first)
  const texts = load<u32>(encoder, ENCODER_TEXTS)
  const numbers = load<usize>(slot, SLOT_ROW_NUMBERS)
  memory.copy(numbers, numbers + (rows << 2), left << 2)
  const end = load<usize>(slot, SLOT_TEXTS) + texts * TEXT_RECORD_BYTES
  for (let text = load<usize>(slot, SLOT_TEXTS); text < end; text += TEXT_RECORD_BYTES) {
    const bytes = load<usize>(text, TEXT_BYTES)
    const dropped = dropEnds(load<usize>(text, TEXT_ENDS), rows, left)
    const length = load<u32>(text, TEXT_LENGTH) - dropped
    memory.copy(bytes, bytes + dropped, length)
    store<u32>(text, length, TEXT_LENGTH)
    const nulls = load<usize>(text, TEXT_NULLS)
    memory.copy(nulls, nulls + rows, left)
  }
}

/** Moves the ends of the rows behind the first `rows` down. Returns by how much: the end of those before. */
function dropEnds(ends: usize, rows: u32, left: u32): u32 {
  const dropped = rows == 0 ? 0 : load<u32>(ends + ((rows - 1) << 2))
  for (let row: u32 = 0; row < left; row++) store<u32>(ends + (row << 2), load<u32>(ends + ((rows + row) << 2)) - dropped)
  return dropped
}

/** Frees what the slot holds; the slot is empty then and may be used again. */
export function freeSlot(encoder: usize, slot: usize): void {
  const texts = load<u32>(encoder, ENCODER_TEXTS)
  free(load<usize>(slot, SLOT_BYTES))
  free(load<usize>(slot, SLOT_ENDS))
  free(load<usize>(slot, SLOT_ROW_NUMBERS))
  const records = load<usize>(slot, SLOT_TEXTS)
  const end = records + texts * TEXT_RECORD_BYTES
  for (let text = records; text < end; text += TEXT_RECORD_BYTES) {
    free(load<usize>(text, TEXT_BYTES))
    free(load<usize>(text, TEXT_ENDS))
    free(load<usize>(text, TEXT_NULLS))
  }
  memory.fill(records, 0, texts * TEXT_RECORD_BYTES)
  store<usize>(slot, 0, SLOT_BYTES)
  store<u32>(slot, 0, SLOT_CAPACITY)
  store<u32>(slot, 0, SLOT_LENGTH)
  store<usize>(slot, 0, SLOT_ENDS)
  store<usize>(slot, 0, SLOT_ROW_NUMBERS)
  store<u32>(slot, 0, SLOT_ROWS_CAPACITY)
  store<u32>(slot, 0, SLOT_ROWS)
}
