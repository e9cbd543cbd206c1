/**
 * What TypeScript and the kernel both read and write in the kernel's memory: records of 32-bit fields (wider where it says
 * so), by byte offset. AssemblyScript compiles this file too, so it holds plain numbers only. Addresses are of the kernel's
 * memory; 0 stands for nothing there.
 */

/** A column: how values of a kind lie there. Row i is bit, element or view i from the addresses on. */
export const COLUMN_KIND = 0
/** Null bitmap, or 0 where no row is NULL; then the bit of row 0 in its first byte. */
export const COLUMN_NULLS = 4
export const COLUMN_NULL_BIT = 8
export const COLUMN_VALUES = 12
/** Offsets into the values; of views: addresses of the buffers that they point into, or 0 where they hold addresses. */
export const COLUMN_OFFSETS = 16
/** The kind's own number: bit of row 0 (booleans), width, digits of the unit, scale, kind of a dictionary's indices. */
export const COLUMN_PARAMETER = 20
/** `{"name":` or `,"name":`, as it stands in front of the value; where the encoder is `ENCODER_SHAPED`, always the latter. */
export const COLUMN_KEY = 24
export const COLUMN_KEY_BYTES = 28
/** Rows; only looked at in the pieces of a dictionary. */
export const COLUMN_ROWS = 32
/** Of a dictionary: its pieces, columns one behind the other. */
export const COLUMN_PIECES = 36
/** 1: a number that is a string in the row. Only looked at where the encoder is `ENCODER_SHAPED`. */
export const COLUMN_QUOTED = 40
export const COLUMN_BYTES = 44

export const KIND_NULL = 0
export const KIND_BOOL = 1
export const KIND_INT8 = 2
export const KIND_INT16 = 3
export const KIND_INT32 = 4
export const KIND_INT64 = 5
export const KIND_UINT8 = 6
export const KIND_UINT16 = 7
export const KIND_UINT32 = 8
export const KIND_UINT64 = 9
export const KIND_FLOAT32 = 10
export const KIND_FLOAT64 = 11
/** `parameter`: the scale. */
export const KIND_DECIMAL128 = 12
/** Days. */
export const KIND_DATE32 = 13
/** Milliseconds. */
export const KIND_DATE64 = 14
/** `parameter`: 0, 3, 6 or 9 digits. */
export const KIND_TIME32 = 15
export const KIND_TIME64 = 16
export const KIND_TIMESTAMP = 17
export const KIND_UTF8 = 18
export const KIND_LARGE_UTF8 = 19
export const KIND_UTF8_VIEW = 20
export const KIND_BINARY = 21
export const KIND_LARGE_BINARY = 22
export const KIND_BINARY_VIEW = 23
/** `parameter`: bytes a value. */
export const KIND_FIXED_BINARY = 24
/** `parameter`: the indices' kind, one of the eight of integers. */
export const KIND_DICTIONARY = 25
/** Text that is finished: copied as it is. 32-bit offsets. */
export const KIND_FRAGMENT = 26

/** A text column beside the payload. */
export const TEXT_BYTES = 0
export const TEXT_CAPACITY = 4
export const TEXT_LENGTH = 8
/** As many of these two as the slot has room for rows. */
export const TEXT_ENDS = 12
export const TEXT_NULLS = 16
export const TEXT_RECORD_BYTES = 20

/** A slot: a batch that is filling. */
export const SLOT_BYTES = 0
export const SLOT_CAPACITY = 4
export const SLOT_LENGTH = 8
export const SLOT_ENDS = 12
export const SLOT_ROW_NUMBERS = 16
export const SLOT_ROWS_CAPACITY = 20
export const SLOT_ROWS = 24
/** Rows of the present span that came into this slot so far. */
export const SLOT_SPAN_ROWS = 28
/** The piece that is growing: its rows (0: none), first row, payload bytes (64 bits) and sum of checksums (64 bits). */
export const SLOT_PIECE_ROWS = 32
export const SLOT_PIECE_FIRST = 36
export const SLOT_PIECE_BYTES = 40
export const SLOT_PIECE_CHECKSUM = 48
/** Of the records, in milliseconds (64 bits). */
export const SLOT_BASE_TIMESTAMP = 56
export const SLOT_MAX_TIMESTAMP = 64
/** Text records, as many as the encoder has text columns. */
export const SLOT_TEXTS = 72
export const SLOT_RECORD_BYTES = 80

/** An encoder: what it was opened with, and the present span. */
export const ENCODER_COLUMNS = 0
export const ENCODER_COLUMNS_END = 4
/** Bytes that a row takes at most without what varies, and what may be written beyond its end. */
export const ENCODER_RESERVE = 8
/** Selected rows, or 0 for all. */
export const ENCODER_SELECTED = 12
/** How many rows to encode. */
export const ENCODER_COUNT = 16
/** Number of the span's first row in its chunk. */
export const ENCODER_FIRST_ROW = 20
/** Single bytes before the first row, before others, behind each: -1 for none. */
export const ENCODER_BEFORE_FIRST = 24
export const ENCODER_BEFORE_NEXT = 28
export const ENCODER_AFTER = 32
/** Bytes that will follow the last row. */
export const ENCODER_TAIL = 36
export const ENCODER_BATCH_ROWS = 40
/** Most bytes of a batch: of plain rows with their tail, of records with their header. */
export const ENCODER_PLAIN_BYTES = 44
export const ENCODER_RECORDS_BYTES = 108
export const ENCODER_CHECKSUMS = 48
export const ENCODER_SLOTS = 52
/** Columns of the texts, and whether the first text is the ids', which have no column. */
export const ENCODER_TEXT_COLUMNS = 56
export const ENCODER_TEXTS = 60
export const ENCODER_ID_TEXT = 64
/** What rows have for ids: one of `IDS_`. */
export const ENCODER_IDS = 140
/** What stands in front of the row number in an id, or of the key's values in what is hashed. */
export const ENCODER_ID_PREFIX = 68
export const ENCODER_ID_PREFIX_BYTES = 72
/** The columns of the key, and their end. */
export const ENCODER_ID_COLUMNS = 144
export const ENCODER_ID_COLUMNS_END = 148
/** Where ids are made. */
export const ENCODER_ID = 152
export const ENCODER_ID_CAPACITY = 156
/** Whether the id is the value of the last header of each record. */
export const ENCODER_ID_HEADER = 80
/** The slot that was full, where a row did not fit. */
export const ENCODER_STOP_SLOT = 76
/** Kafka: 0 partitions are none. */
export const ENCODER_PARTITIONS = 84
/** Slots of records without a key, and of rows that have no time for Kafka. */
export const ENCODER_STICKY_SLOT = 88
export const ENCODER_REFUSED_SLOT = 128
/** A column, or 0: no record has a key. */
export const ENCODER_KEY_COLUMN = 92
/** A timestamp column, or 0: all timestamps are 0. */
export const ENCODER_TIMESTAMP_COLUMN = 96
/** As they stand in each record, with their count. */
export const ENCODER_HEADERS = 100
export const ENCODER_HEADERS_BYTES = 104
/** 64 bits: the time for records whose timestamp is NULL. */
export const ENCODER_NOW = 112
/** Text of the present record's key. */
export const ENCODER_KEY = 120
export const ENCODER_KEY_CAPACITY = 124
/** Widths of the two varints that depend on a value's length, as they were in the record before. */
export const ENCODER_LENGTH_WIDTH = 132
export const ENCODER_VALUE_WIDTH = 136
/** Whether rows have a shape of their own: columns may be quoted, or left out where NULL (`ENCODER_OMIT_NULLS`). */
export const ENCODER_SHAPED = 160
export const ENCODER_OMIT_NULLS = 164
/** Of an event around the row: what stands in front of its id, or 0 where there is none; the columns of attributes; what stands behind these. */
export const ENCODER_EVENT_HEAD = 168
export const ENCODER_EVENT_HEAD_BYTES = 172
export const ENCODER_EVENT_COLUMNS = 176
export const ENCODER_EVENT_COLUMNS_END = 180
export const ENCODER_EVENT_BETWEEN = 184
export const ENCODER_EVENT_BETWEEN_BYTES = 188
/** Whether the id is handed on, and so part of the row's checksum: not where it only names an event. */
export const ENCODER_ID_SEEDS = 192
export const ENCODER_RECORD_BYTES = 196

export const IDS_NONE = 0
/** The prefix and the row's number. */
export const IDS_BY_ROW = 1
/** A hash of the prefix and the key's values (`row-ids.ts`). */
export const IDS_BY_KEY = 2

/** What stands in front of the records of a record batch. */
export const RECORDS_HEAD = 61
