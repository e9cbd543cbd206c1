// The row loop: each selected row of a span goes to the slot that it belongs to, framed. It runs until the span is done or
// JavaScript has to cut a slot that is full. The row that found it full has left no trace and is written anew when the loop
// goes on at it; that is one row in a batch, and saves a special way for rows that came too late.
import {
  COLUMN_BYTES, ENCODER_AFTER, ENCODER_BATCH_ROWS, ENCODER_BEFORE_FIRST, ENCODER_BEFORE_NEXT, ENCODER_CHECKSUMS,
  ENCODER_COUNT, ENCODER_FIRST_ROW, ENCODER_ID_SEEDS, ENCODER_ID_TEXT, ENCODER_IDS, ENCODER_PARTITIONS,
  ENCODER_PLAIN_BYTES, ENCODER_RECORDS_BYTES, ENCODER_REFUSED_SLOT, ENCODER_RESERVE, ENCODER_SELECTED, ENCODER_SLOTS,
  ENCODER_STOP_SLOT, ENCODER_TAIL, ENCODER_TEXTS, ENCODER_TEXT_COLUMNS, RECORDS_HEAD, SLOT_BYTES,
  SLOT_CAPACITY, SLOT_ENDS, SLOT_LENGTH, SLOT_ROW_NUMBERS, SLOT_ROWS, SLOT_ROWS_CAPACITY, SLOT_TEXTS, IDS_NONE, TEXT_BYTES, TEXT_CAPACITY, TEXT_ENDS, TEXT_LENGTH, TEXT_NULLS, TEXT_RECORD_BYTES,
} from '../kernel-layout'
import { xxh64 } from './checksum'
import { hasText, writePlain } from './column'
import { idBytes, idStart, makeId } from './id'
import { copyBlocks } from './memory'
import { writeObject } from './object'
import { payload, payloadEnd, payloadStart } from './payload'
import { keySeed, noteTimestamp, readTimestamp, slotOfRow, writeRecord } from './record'
import { countRow, growPayload, growRows, growText } from './slot'

/** Encodes from the `from`th selected row on. Returns how far it came; short of the end a slot was full. */
export function encodeRows(encoder: usize, from: u32): u32 {
  const count = load<u32>(encoder, ENCODER_COUNT)
  const selected = load<usize>(encoder, ENCODER_SELECTED)
  for (let position = from; position < count; position++) {
    const row = selected == 0 ? position : load<u32>(selected + (position << 2))
    if (!encodeRow(encoder, row)) return position
  }
  return count
}

/** Returns whether the row fitted. */
function encodeRow(encoder: usize, row: u32): bool {
  const isKafka = load<u32>(encoder, ENCODER_PARTITIONS) != 0
  const isRecord = isKafka && readTimestamp(encoder, row)
  const slot = isRecord
    ? slotOfRow(encoder, row)
    : load<usize>(encoder + (isKafka ? ENCODER_REFUSED_SLOT : ENCODER_SLOTS))
  const number = load<u32>(encoder, ENCODER_FIRST_ROW) + row
  if (load<u32>(encoder, ENCODER_IDS) != IDS_NONE) makeId(encoder, row, number)
  const length = writeRow(encoder, slot, row, isRecord)
  const rows = load<u32>(slot, SLOT_ROWS)
  if (rows > 0) {
    const most = load<u32>(encoder + (isRecord ? ENCODER_RECORDS_BYTES : ENCODER_PLAIN_BYTES))
    if (rows >= load<u32>(encoder, ENCODER_BATCH_ROWS) || length + load<u32>(encoder, ENCODER_TAIL) > most) {
      store<usize>(encoder, slot, ENCODER_STOP_SLOT)
      return false
    }
  }
  keepRow(encoder, slot, row, number, length, isRecord)
  return true
}

/** Writes the row behind those in the slot and returns the slot's length with it, which is not yet noted. */
function writeRow(encoder: usize, slot: usize, row: u32, isRecord: bool): u32 {
  while (true) {
    const bytes = load<usize>(slot, SLOT_BYTES)
    const capacity = load<u32>(slot, SLOT_CAPACITY)
    const reserve = load<u32>(encoder, ENCODER_RESERVE)
    const isFirst = load<u32>(slot, SLOT_ROWS) == 0
    const start = !isFirst ? load<u32>(slot, SLOT_LENGTH) : isRecord ? RECORDS_HEAD : 0
    if (start + reserve <= capacity) {
      const dst = bytes + start
      const room = bytes + capacity - reserve
      const end = isRecord
        ? writeRecord(encoder, slot, row, dst, room)
        : writePlainRow(encoder, row, dst, room, isFirst)
      if (end != 0) return <u32>(end - bytes)
    }
    growPayload(slot, encoder)
  }
}

@inline
function writePlainRow(encoder: usize, row: u32, dst: usize, room: usize, isFirst: bool): usize {
  const before = load<i32>(encoder + (isFirst ? ENCODER_BEFORE_FIRST : ENCODER_BEFORE_NEXT))
  if (before >= 0) store<u8>(dst++, <u8>before)
  const end = writeObject(encoder, row, dst, room)
  if (end == 0) return 0
  payload(dst, end)
  const after = load<i32>(encoder, ENCODER_AFTER)
  if (after < 0) return end
  store<u8>(end, <u8>after)
  return end + 1
}

function keepRow(encoder: usize, slot: usize, row: u32, number: u32, length: u32, isRecord: bool): void {
  const rows = load<u32>(slot, SLOT_ROWS)
  const texts = load<u32>(encoder, ENCODER_TEXTS)
  if (rows == load<u32>(slot, SLOT_ROWS_CAPACITY)) growRows(slot, texts)
  if (texts != 0) keepTexts(encoder, slot, row, rows)
  if (isRecord) noteTimestamp(slot)
  store<u32>(load<usize>(slot, SLOT_ENDS) + (rows << 2), length)
  store<u32>(load<usize>(slot, SLOT_ROW_NUMBERS) + (rows << 2), number)
  store<u32>(slot, length, SLOT_LENGTH)
  store<u32>(slot, rows + 1, SLOT_ROWS)
  const checksum: u64 = load<u32>(encoder, ENCODER_CHECKSUMS) ? rowChecksum(encoder, isRecord) : 0
  countRow(slot, <u32>(payloadEnd - payloadStart), checksum)
}

@inline
function rowChecksum(encoder: usize, isRecord: bool): u64 {
  const seed: u64 = load<u32>(encoder, ENCODER_ID_SEEDS) ? xxh64(idStart, idStart + idBytes, 0) : 0
  return xxh64(payloadStart, payloadEnd, isRecord ? keySeed(encoder, seed) : seed)
}

/** The row's texts: its id first, if the encoder has ids, then the columns asked for. */
function keepTexts(encoder: usize, slot: usize, row: u32, rows: u32): void {
  let text = load<usize>(slot, SLOT_TEXTS)
  const end = text + load<u32>(encoder, ENCODER_TEXTS) * TEXT_RECORD_BYTES
  if (load<u32>(encoder, ENCODER_ID_TEXT)) {
    keepId(text, rows)
    text += TEXT_RECORD_BYTES
  }
  for (let column = load<usize>(encoder, ENCODER_TEXT_COLUMNS); text < end; text += TEXT_RECORD_BYTES, column += COLUMN_BYTES) {
    keepText(column, text, row, rows)
  }
}

function keepId(text: usize, rows: u32): void {
  while (load<u32>(text, TEXT_LENGTH) + idBytes + TEXT_RESERVE > load<u32>(text, TEXT_CAPACITY)) growText(text)
  const length = load<u32>(text, TEXT_LENGTH)
  copyBlocks(load<usize>(text, TEXT_BYTES) + length, idStart, idBytes)
  endText(text, rows, length + idBytes, false)
}

function keepText(column: usize, text: usize, row: u32, rows: u32): void {
  if (!hasText(column, row)) return endText(text, rows, load<u32>(text, TEXT_LENGTH), true)
  for (;;) {
    const bytes = load<usize>(text, TEXT_BYTES)
    const capacity = load<u32>(text, TEXT_CAPACITY)
    const length = load<u32>(text, TEXT_LENGTH)
    if (length + TEXT_RESERVE <= capacity) {
      const end = writePlain(column, row, bytes + length, bytes + capacity - TEXT_RESERVE)
      if (end != 0) return endText(text, rows, <u32>(end - bytes), false)
    }
    growText(text)
  }
}

/** What a value takes at most that is not of unbounded length. */
const TEXT_RESERVE: u32 = 128

function endText(text: usize, rows: u32, length: u32, isNull: bool): void {
  store<u32>(text, length, TEXT_LENGTH)
  store<u32>(load<usize>(text, TEXT_ENDS) + (rows << 2), length)
  store<u8>(load<usize>(text, TEXT_NULLS) + rows, isNull ? 1 : 0)
}
